"""Who does the runs: this process, several, or Ray."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import aegan
from aegan.errors import ConfigError, Interrupted, StorageError
from aegan.storage import write_json
from aegan.study.job import RESULT, run_job
from aegan.study.spec import Job

Done = Callable[[Job, dict[str, Any]], None]
"""Called after each run, in the calling thread."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
STOPPED = "Stopped. What is finished is kept; go on with --resume."


def run_here(jobs: Sequence[Job], root: Path, done: Done) -> None:
    """One run after the other, in this process.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; finished runs are kept.
    """
    try:
        for job in jobs:
            done(job, run_job(job, root))
    except (Interrupted, KeyboardInterrupt):
        raise Interrupted(STOPPED) from None


def run_in_processes(jobs: Sequence[Job], root: Path, done: Done, *, workers: int) -> None:
    """In so many processes at a time, each with its own share of threads.

    A process that is killed (for want of memory, say) makes its run a failed one; the others go on.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; finished runs are kept.
        StorageError: The disk is full.
    """
    todo, answers = queue.SimpleQueue[Job](), queue.SimpleQueue[tuple[Job | None, Any]]()
    for job in jobs:
        todo.put(job)
    crew = [_Worker(root, todo, answers) for _ in range(min(workers, len(jobs)))]
    before = _terminated_as_interrupted()
    try:
        for worker in crew:
            worker.start()
        for _ in jobs:
            job, answer = answers.get()
            if job is None:
                raise answer
            done(job, answer)
    except KeyboardInterrupt:
        raise Interrupted(STOPPED) from None
    finally:
        for worker in crew:
            worker.stop()
        for worker in crew:
            worker.join()
        if before is not None:
            signal.signal(signal.SIGTERM, before)


class _Worker(threading.Thread):
    """Keeps one process at work; a thread, since it does nothing but wait for answers."""

    def __init__(self, root: Path, todo: queue.SimpleQueue[Job], answers: queue.SimpleQueue[Any]) -> None:
        super().__init__(daemon=True)
        self.root, self.todo, self.answers = root, todo, answers
        self.process: subprocess.Popen[str] | None = None
        self._stopped = threading.Event()

    def run(self) -> None:
        """Hand out jobs until there are none."""
        try:
            while not self._stopped.is_set():
                try:
                    job = self.todo.get_nowait()
                except queue.Empty:
                    break
                answer = self._asked(job)
                if self._stopped.is_set() and "result" not in answer:
                    break
                if "storage" in answer:
                    self.answers.put((None, StorageError(answer["storage"])))
                    break
                self.answers.put((job, answer.get("result") or self._lost(job, answer)))
        except Exception as error:
            self.answers.put((None, error))
        finally:
            self._close()

    def stop(self) -> None:
        """Ask for a clean stop, of a run that is going on too."""
        self._stopped.set()
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def _asked(self, job: Job) -> dict[str, Any]:
        if self.process is None or self.process.poll() is not None:
            self._close()
            self.process = _started(self.root, job.threads)
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None and stdout is not None  # noqa: S101 - both are pipes
        try:
            stdin.write(json.dumps(job.to_json()) + "\n")
            stdin.flush()
            return json.loads(stdout.readline())
        except (OSError, ValueError):
            return {}

    def _close(self) -> None:
        """Let the process end, which it does when nothing more can come."""
        if self.process is None:
            return
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self.process.wait()

    def _lost(self, job: Job, answer: dict[str, Any]) -> dict[str, Any]:
        code = None if self.process is None or "interrupted" in answer else self.process.wait()
        why = answer.get("interrupted") or f"the process ended with code {code}; -9 is often a want of memory"
        return failed(job, self.root, why)


def failed(job: Job, root: Path, why: str) -> dict[str, Any]:
    """The result of a run whose process was lost; it counts as failed."""
    result = {
        "key": job.key, "model": job.model.name, "data": job.data.name, "init": job.init, "seed": job.seed,
        "status": "failed", "message": f"killed: {why}", "metrics": {}, "verdicts": [],
    }  # fmt: skip
    write_json(root / "runs" / job.folder / RESULT, result)
    return result


def _started(root: Path, threads: int) -> subprocess.Popen[str]:
    home = str(Path(aegan.__file__).parents[1])
    known = os.environ.get("PYTHONPATH", "")
    env = os.environ | dict.fromkeys(THREADS, str(threads)) | {"PYTHONPATH": f"{home}{os.pathsep}{known}"}
    return subprocess.Popen(
        [sys.executable, "-m", "aegan.study.worker", str(root)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
        start_new_session=True,  # Ctrl-C reaches this process alone, which then stops the others in order
    )  # fmt: skip


def _terminated_as_interrupted() -> Any:
    if threading.current_thread() is not threading.main_thread():
        return None

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    return signal.signal(signal.SIGTERM, stop)


def run_on_ray(jobs: Sequence[Job], root: Path, done: Done, *, workers: int | None = None) -> None:
    """Through Ray: on a cluster that is there (``RAY_ADDRESS``), or a local one of ``workers`` processes.

    On a cluster, ``root`` must be a folder that all of its machines see.

    Raises:
        ConfigError: Ray is not installed.
        Interrupted: Ctrl-C; finished runs are kept.
    """
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError as error:
        raise ConfigError("--ray: Ray is not installed. `pip install aegan[ray]`, or leave --ray out.") from error
    ours = not ray.is_initialized()
    threads = max(job.threads for job in jobs)
    if ours:
        cpus = None if workers is None or os.environ.get("RAY_ADDRESS") else workers * threads
        # By default Ray's workers yield to everything else on the machine; here they are the work.
        os.environ.setdefault("RAY_worker_niceness", "0")
        ray.init(num_cpus=cpus, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        task = ray.remote(num_cpus=threads, max_retries=0)(_remotely)
        waiting = {task.remote(job.to_json(), str(root.resolve())): job for job in jobs}
        for ref, job in _as_they_end(ray, waiting):
            try:
                answer = ray.get(ref)
            except ray.exceptions.RayError as error:
                answer = failed(job, root, f"{type(error).__name__}")
            if "storage" in answer:
                raise StorageError(answer["storage"])
            done(job, answer)
    except KeyboardInterrupt:
        raise Interrupted(STOPPED) from None
    finally:
        if ours:
            ray.shutdown()


def _as_they_end(ray: Any, waiting: dict[Any, Job]) -> Iterator[tuple[Any, Job]]:
    while waiting:
        (ref,), _ = ray.wait(list(waiting), num_returns=1)
        yield ref, waiting.pop(ref)


def _remotely(job: dict[str, Any], root: str) -> dict[str, Any]:
    try:
        return run_job(Job.from_json(job), Path(root))
    except StorageError as error:
        return {"storage": str(error)}
