"""A process that does a study's runs, one after the other: ``python -m aegan.study.worker FOLDER``.

Jobs come as JSON lines on standard input; for each a line goes back. When the process that started it is gone, it
stops at once, so that nobody writes where another study may have begun.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

from aegan.errors import Interrupted, StorageError


def main(root: Path) -> int:
    """Work until standard input ends."""
    from aegan.study.job import run_job
    from aegan.study.spec import Job

    parent = os.getppid()
    threading.Thread(target=_stay_with, args=(parent,), daemon=True).start()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    for line in sys.stdin:
        try:
            answer = {"result": run_job(Job.from_json(json.loads(line)), root)}
        except Interrupted as error:
            answer = {"interrupted": str(error)}
        except StorageError as error:
            answer = {"storage": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


def _stay_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
