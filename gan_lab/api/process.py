"""The process that the face is a guest in: its settings of torch and Hydra, and its Ctrl-C."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from gan_lab.console import announce
from gan_lab.engine.execution import Execution
from gan_lab.signals import Interrupted, keep_process

_compose_lock = threading.Lock()


@contextlib.contextmanager
def keep_torch_settings() -> Iterator[None]:
    """Put back torch's threads and precision, which a run sets for the process, after the block."""
    n_threads = torch.get_num_threads()
    backends: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn]
    tf32 = [each.allow_tf32 for each in backends] if torch.cuda.is_available() else []
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
        for backend, allow in zip(backends, tf32, strict=False):
            backend.allow_tf32 = allow


@contextlib.contextmanager
def torch_settings(execution: Execution, n_threads: int) -> Iterator[None]:
    """Compute with a run's settings in the block, so that it gets the bits of the command."""
    with keep_torch_settings():
        torch.set_num_threads(n_threads)
        execution.set_precision()
        yield


@contextlib.contextmanager
def keep_hydra() -> Iterator[None]:
    """Compose in the block, one thread at a time; a Hydra application around it keeps its own."""
    with _compose_lock:
        hydra, config = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
        try:
            yield
        finally:
            GlobalHydra.instance().hydra = hydra
            HydraConfig.instance().cfg = config


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Train in the block; Ctrl-C ends it after the state is saved, and the caller goes on.

    A second Ctrl-C raises KeyboardInterrupt, and so does the first before there is a state to save.

    Raises:
        Interrupted: SIGTERM, after the state is saved: the caller has to end too.
    """
    try:
        with keep_process():
            yield
    except Interrupted as stop:
        if stop.signum != signal.SIGINT:
            raise
        if not stop.is_saved:
            raise KeyboardInterrupt from None
        announce("stopped by SIGINT; the state is saved: run.resume() continues it")
