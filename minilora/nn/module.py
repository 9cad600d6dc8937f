"""Module: a tree of named parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minilora._types import Array
from minilora.autograd import Tensor
from minilora.errors import TargetError, did_you_mean


class Parameter(Tensor):
    """A tensor that belongs to a module and is saved with it, trained or frozen."""

    __slots__ = ()

    def __init__(self, data: Any, *, requires_grad: bool = True) -> None:
        super().__init__(data, requires_grad=requires_grad)


class Module:
    """Base of everything with parameters.

    Attributes that are parameters, modules or lists of modules are the tree; their dotted path is
    their name, and the names of BERT's are those of the Hugging Face checkpoint. A module keeps
    nothing of a forward pass, so it can be used twice in one graph and by several threads at once.

    ``adaptation`` is what `minilora.inject` noted of the model it adapted; None without adapters.
    """

    adaptation: Any = None

    def __call__(self, *inputs: Any, **options: Any) -> Tensor:
        """See `forward`."""
        return self.forward(*inputs, **options)

    def forward(self, *inputs: Any, **options: Any) -> Tensor:
        """Compute the output."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward()")

    def children(self) -> Iterator[tuple[str, Module]]:
        """Direct submodules, by name."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, list):
                yield from (
                    (f"{name}.{i}", m) for i, m in enumerate(value) if isinstance(m, Module)
                )

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """The module itself and all below it, by dotted path."""
        yield prefix, self
        for name, child in self.children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters by dotted path; a shared one is listed once, under its first name."""
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Parameter) and id(value) not in seen:
                    seen.add(id(value))
                    yield (f"{path}.{name}" if path else name), value

    def freeze(self) -> None:
        """Stop training every parameter."""
        for _, parameter in self.named_parameters():
            parameter.requires_grad_(False)

    def state_dict(self) -> dict[str, Array]:
        """Arrays by name."""
        return {name: p.data for name, p in self.named_parameters()}

    def replace(self, path: str, new: Module) -> None:
        """Put ``new`` where the module at ``path`` is.

        Raises
        ------
        TargetError
            When there is no module at ``path``.
        """
        known = [name for name, _ in self.named_modules() if name]
        if path not in known:
            raise TargetError(f"replace: no module at {path!r}.{did_you_mean(path, known)}")
        *above, last = path.split(".")
        holder: Any = self
        for part in above:
            holder = holder[int(part)] if isinstance(holder, list) else getattr(holder, part)
        if isinstance(holder, list):
            holder[int(last)] = new
        else:
            setattr(holder, last, new)


def count_parameters(model: Module) -> tuple[int, int]:
    """Count the entries of all parameters: (those that train, all). A shared one counts once."""
    sizes = [(p.data.size, p.requires_grad) for _, p in model.named_parameters()]
    return sum(size for size, trains in sizes if trains), sum(size for size, _ in sizes)
