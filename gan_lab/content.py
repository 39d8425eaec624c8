"""What a checkpoint holds: nested containers of Tensor, str, int, float, bool and None."""

import hashlib
from collections.abc import Iterable
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor

_DEEPEST = 32  # levels of nesting; a run's checkpoint has some eight


def digest(content: Any) -> str:
    """sha256 of types, keys, dtypes, shapes and values; the order of a dict's keys is no matter.

    Equal digests mean equal states, so two runs can be compared without comparing files.

    Raises:
        TypeError: Something is neither a tensor nor a plain container or scalar.
    """
    hasher = hashlib.sha256()

    def add(node: Any, where: str) -> None:
        # Every node says its type and its size first: no two contents feed the same bytes.
        if isinstance(node, Tensor):
            hasher.update(f"{node.dtype} {tuple(node.shape)};".encode())
            flat = node.detach().cpu().contiguous().flatten()
            hasher.update(flat.view(torch.uint8).numpy().data)
        elif isinstance(node, dict):
            hasher.update(f"dict {len(node)};".encode())
            for key in sorted(node, key=lambda key: (type(key).__name__, repr(key))):
                add(key, f"{where}, a key")
                add(node[key], f"{where}[{key!r}]")
        elif isinstance(node, list | tuple):
            hasher.update(f"{'list' if isinstance(node, list) else 'tuple'} {len(node)};".encode())
            for index, item in enumerate(node):
                add(item, f"{where}[{index}]")
        elif type(node) is str:
            text = node.encode(errors="surrogatepass")
            hasher.update(f"str {len(text)};".encode() + text)
        elif type(node) in (int, float, bool, type(None)):  # not isinstance: np.float64 is a float
            hasher.update(f"{type(node).__name__} {node!r};".encode())
        else:
            raise TypeError(
                f"{where} is a {type(node).__name__}; a checkpoint holds tensors, dict, list, "
                "tuple, str, int, float, bool and None. Convert it."
            )

    add(content, "content")
    return hasher.hexdigest()


def to_cpu(node: Any) -> Any:
    """The same nest with plain containers and tensors that own exactly their storage."""
    if isinstance(node, Tensor):
        return node.detach().to("cpu", copy=True).contiguous()
    if isinstance(node, dict):
        return {key: to_cpu(item) for key, item in node.items()}
    if isinstance(node, list | tuple):
        items = [to_cpu(item) for item in node]
        return items if isinstance(node, list) else tuple(items)
    return node


def is_bounded(record: Any, most: int) -> bool:
    """Whether what was read is no larger than a file of so many bytes, however it is walked.

    A tensor of a terabyte may share a number, and a list may name another a thousand times: whoever
    walks through them, `digest` first, would not come to an end.
    """
    level, n_levels = [record], 0
    while level:
        most -= sum(node.nbytes if isinstance(node, Tensor) else 1 for node in level)
        n_levels += 1
        if most < 0 or n_levels > _DEEPEST:
            return False
        level = list(islice(chain.from_iterable(map(_inside, level)), most + 1))
    return True


def _inside(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return chain(node, node.values())
    return node if isinstance(node, list | tuple) else ()
