"""Many runs under one equal budget, compared with intervals and tests."""
