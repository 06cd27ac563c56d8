"""What the model says about itself on held-out data: its own figures, and a collapse by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegan.report import page
from aegan.report.reader import number

NAMES = {
    "elbo": "evidence lower bound, nats a sample",
    "log_likelihood": "importance-weighted bound on the log-likelihood, nats a sample",
    "kl": "divergence of codes from the prior, nats",
    "active_units": "dimensions of the code in use",
    "mutual_information": "what a code tells about its sample, nats (an estimate)",
    "codes": "codes in the codebook",
    "perplexity": "codes in effective use (perplexity)",
    "usage": "part of the codes that occur",
}
"""Figures in plain words; one without an entry is shown by its own name."""


def findings(data: Mapping[str, Any] | None) -> list[str]:
    """The sentences of ``health.json``; none of an unreadable one."""
    found = (data or {}).get("findings")
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []


def figures(data: Mapping[str, Any] | None) -> dict[str, float]:
    """The figures of ``health.json`` in plain words."""
    found = (data or {}).get("figures")
    known = {str(k): number(v) for k, v in found.items()} if isinstance(found, Mapping) else {}
    return {NAMES.get(name, name.replace("_", " ")): value for name, value in known.items() if value is not None}


def health_section(data: Mapping[str, Any] | None) -> str:
    """A card with findings and figures; empty where there are none."""
    words = "".join(f"<p>{page.prose(text)}</p>" for text in findings(data))
    values = figures(data)
    rows = "".join(f"<tr><td>{page.esc(k)}</td><td>{page.figure_text(v)}</td></tr>" for k, v in values.items())
    table = f"<p>Measured on data that it was not trained on.</p><table>{rows}</table>" if rows else ""
    return page.section("The codes", words + table, "health")
