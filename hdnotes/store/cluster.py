"""Many machines: cells computed by the workers of a Dask cluster, and kept by who asked for them.

Workers need this library and a device; they share no disk with each other, and only the process
that asked writes to the store. A task is named by its cell's key and the fingerprint of its code,
so processes that ask for the same cell wait for the same task. A task whose worker dies goes to
another worker; where the scheduler goes away, what is unfinished is asked for again when one is
back at its address.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from typing import Any

#: Seconds to wait for a scheduler: at first, and for one to come back.
PATIENCE_S, RETURN_S = 20, 600


def computed(
    address: str, function: Callable[..., Any], tasks: Mapping[str, Sequence[Any]]
) -> Iterator[tuple[str, Any]]:
    """Call a function on a cluster; yield (name, result or what was raised) as calls finish.

    Parameters
    ----------
    address : of the scheduler, as in tcp://host:8786
    function : known to the workers under the same name
    tasks : name -> arguments; a name is known to the whole cluster

    Raises
    ------
    ValueError
        If no scheduler answers at the address, or it does not come back.
    """
    waiting, patience = dict(tasks), PATIENCE_S
    while waiting:
        client = _connect(address, patience)
        try:
            for name, result in _finished(client, function, waiting):
                del waiting[name]
                yield name, result
        finally:
            client.close(timeout=2)
        if waiting:
            print(f"hdnotes: the scheduler at {address} is gone; waiting for it.", file=sys.stderr)
        patience = RETURN_S


def _connect(address: str, patience: float) -> Any:
    """Return a client; ask again until somebody answers."""
    try:
        from distributed import Client
    except ImportError as error:
        raise ValueError(
            f"scheduler = {address!r} needs the package distributed, which is not installed"
        ) from error
    begin = time.monotonic()
    while True:
        try:
            client = Client(address, timeout=5)
        except (OSError, TypeError, ValueError) as error:
            if time.monotonic() - begin > patience or not isinstance(error, OSError):
                raise ValueError(
                    f"scheduler = {address!r} does not answer; it is the address that "
                    "`dask scheduler` prints, as in tcp://host:8786"
                ) from error
            time.sleep(1)
        else:
            print(f"hdnotes: the cluster's dashboard is {client.dashboard_link}", file=sys.stderr)
            return client


def _finished(
    client: Any, function: Callable[..., Any], tasks: Mapping[str, Sequence[Any]]
) -> Iterator[tuple[str, Any]]:
    """Yield what finishes until all have, or the scheduler is gone."""
    from distributed import as_completed

    futures = {
        client.submit(function, *arguments, key=name, pure=False, retries=0): name
        for name, arguments in tasks.items()
    }
    for future in as_completed(futures):
        try:
            found: Any = future.exception(timeout=30) or future.result(timeout=30)
        except (CancelledError, OSError):  # a time-out is an OSError, too
            return
        name = futures.pop(future)
        future.release()
        yield name, found
