"""Hold a network to its flat memory, whatever is done to it with PyTorch's own means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any, Final, final

import torch
from torch import Tensor

from velora.core.errors import SettingError
from velora.nn.flat import FlatParameters, Kind, in_words, kind, lies_at
from velora.nn.noted import Note, NotedHooks, NotedTable
from velora.nn.parameters import named_masks

_TABLES: Final = ("_parameters", "_buffers", "_modules")
_HOOKS: Final = (
    "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks",
    "_state_dict_pre_hooks",
)  # fmt: skip
_ADDRESS: Final = Tensor.data_ptr
_VERSION: Final = attrgetter("_version")
_IS_TRAINED: Final = attrgetter("requires_grad")


@final
class Held:
    """A network as it was made, compared with what PyTorch's own means have made of it since.

    A network computes from its flat memory, which PyTorch knows nothing of. What is done in place holds by itself.
    Parameters that were given other memory (``p.data = ...``, ``vector_to_parameters``,
    ``load_state_dict(assign=True)``) are copied back into the flat memory. Anything else is refused: another type or
    shape, a part that was added, replaced or taken away (as by pruning or a parametrization), and hooks, which nothing
    would call.

    The look is quick enough for every prediction. Tables of modules note what is put into them, so that only the
    addresses of parameters, and whether masks were written to, have to be asked for.

    Args:
        name: of the network, for errors.
        flat: its memory; no part of the network may be changed between its making and this.
    """

    def __init__(self, name: str, flat: FlatParameters) -> None:
        self.name, self.flat = name, flat
        self._note = Note()
        self._parts = dict(flat.module.named_modules())
        self._tables = {path: [tuple(getattr(part, table)) for table in _TABLES] for path, part in self._parts.items()}
        self._made = {path: dict(part._parameters) for path, part in self._parts.items()}
        self._parameters = dict(flat.module.named_parameters())
        self._live = list(self._parameters.values())
        self._buffers = {name: kind(buffer) for name, buffer in flat.module.named_buffers()}
        self._were_hooked = {path for path, part in self._parts.items() if any(getattr(part, name) for name in _HOOKS)}
        self._keep()

    def is_as_left(self, seed_index: int | None = None) -> bool:
        """Return whether nothing was done to the network that its flat memory doesn't show.

        Args:
            seed_index: whose numbers to look at for those that a mask switches off; ``None`` looks at all.
        """
        is_as_left = not self._note.is_set and [*map(_ADDRESS, self._live)] == self._addresses
        return is_as_left and [*map(_VERSION, self._masks)] == self._versions and not self.flat.leaks(seed_index)

    def is_trained_as_left(self) -> bool:
        """Return whether the parameters require gradients as they did."""
        return [*map(_IS_TRAINED, self._live)] == self._are_trained

    def take_over(self) -> bool:
        """Bring the flat memory and the network together again.

        Returns:
            Whether the network has another wiring now.

        Raises:
            SettingError: if something was done that Velora can't compute with, in a line that says how to undo it.
        """
        with torch.inference_mode(False), torch.no_grad():
            self._check_tables()
            self._check_hooks()
            self._check_buffers()
            self._gather(self._found())
            self.show_gradients()
            is_wired_anew = self.flat.follow_masks()
        self._keep()
        return is_wired_anew

    def check_trained(self) -> None:
        """Follow whether the network is frozen, and refuse what training would ignore.

        Raises:
            SettingError: if a part of the network is frozen, or a parameter has a hook on its gradient.
        """
        if self.flat.gradient is None:
            return
        for name, parameter in self._parameters.items():
            if parameter._backward_hooks or getattr(parameter, "_post_accumulate_grad_hooks", None):
                raise SettingError(
                    f"{self.name}.{name}: has a hook on its gradient, which training doesn't call; remove it, and use "
                    "a callback's on_after_backward or on_before_optimizer_step"
                )
        frozen = [name for name, parameter in self._parameters.items() if not parameter.requires_grad]
        if frozen and len(frozen) < len(self._parameters):
            raise SettingError(
                f"{self.name}.{frozen[0]}: expected requires_grad to be the same for all parameters of a network, got "
                f"{len(frozen)} of {len(self._parameters)} frozen; freeze the whole network, or write the parameter's "
                "values back in a callback's on_train_batch_end"
            )
        self.flat.is_frozen = bool(frozen)
        self._are_trained = [*map(_IS_TRAINED, self._live)]

    def show_gradients(self) -> None:
        """Let every parameter's ``grad`` show the flat gradient, also after ``zero_grad`` has dropped it."""
        if self.flat.gradient is None:
            return
        for name, gradient in self.flat.views(self.flat.gradient):
            own = self._parameters[name].grad
            if own is None or not lies_at(own, gradient):
                self._parameters[name].grad = gradient

    @torch.no_grad()
    def follow_gradients(self) -> None:
        """Take over what was put in the place of gradients since they were shown.

        Raises:
            SettingError: if one was taken away, or is of another shape or type.
        """
        assert self.flat.gradient is not None
        for name, gradient in self.flat.views(self.flat.gradient):
            parameter = self._parameters[name]
            if parameter.grad is None:
                raise SettingError(
                    f"{self.name}.{name}: its gradient was taken away in a hook; write zeros into it, or freeze the "
                    "network with requires_grad_(False)"
                )
            if not lies_at(parameter.grad, gradient):
                self._check_kind(f"{name}.grad", parameter.grad, kind(gradient))
                gradient.copy_(parameter.grad)
                parameter.grad = gradient

    # ---------------------------------------------------------------------------------------------- what was done

    def _check_tables(self) -> None:
        """Refuse a network that has other parts, parameters or buffers than it was made with."""
        found = dict(self.flat.module.named_modules())
        for path in self._parts.keys() | found.keys():
            if found.get(path) is not self._parts.get(path):
                self._refuse(path, "a part was added, replaced or taken away")
        for path, part in self._parts.items():
            for table, made in zip(_TABLES, self._tables[path], strict=True):
                names = getattr(part, table)
                if names.keys() != set(made):
                    odd = next(iter(sorted(names.keys() ^ set(made))))
                    self._refuse(path, f"{odd!r} is {'new' if odd in names else 'gone'}, as by pruning")

    def _refuse(self, path: str, what: str) -> None:
        raise SettingError(
            f"{self._place(path)}: {what}; Velora computes with the network as it was made: change its weights in "
            "place (p.copy_, load_state_dict), and put it back (torch.nn.utils.prune.remove, "
            "torch.nn.utils.parametrize.remove_parametrizations)"
        )

    def _check_hooks(self) -> None:
        for path, part in self._parts.items():
            if path not in self._were_hooked and any(getattr(part, name) for name in _HOOKS):
                raise SettingError(
                    f"{self._place(path)}: has a hook, which nothing calls while Velora computes; remove it by its "
                    "handle.remove()"
                )

    def _check_buffers(self) -> None:
        found = dict(self.flat.module.named_buffers())
        for name in self._buffers.keys() ^ found.keys():
            self._refuse(name, "a buffer was added or taken away")
        for name, buffer in found.items():
            self._check_kind(name, buffer, self._buffers[name])

    def _check_kind(self, name: str, tensor: Tensor, made: Kind) -> None:
        if kind(tensor) != made:
            raise SettingError(
                f"{self.name}.{name}: expected {in_words(made)} as it was made, got {in_words(kind(tensor))}; put "
                "it back, as with .float(), or make the agent on the device where it has to be"
            )

    def _entries(self) -> Iterator[tuple[str, Tensor | None, Tensor | None]]:
        """Go through the parameters: full name, what was made, what is there now."""
        for path, part in self._parts.items():
            for key, made in self._made[path].items():
                yield f"{path}.{key}" if path else key, made, part._parameters[key]

    def _found(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Find the parameters that lie elsewhere: the tensor that is there now, and a copy of its values.

        Copies, since they may lie in each other's place.
        """
        found: dict[str, tuple[Tensor, Tensor]] = {}
        for name, made, live in self._entries():
            if name not in self._parameters or live is None:  # it was never there, or two parts share it
                if live is not made:
                    self._refuse(name, "a parameter was added or taken away")
                continue
            place = self.flat.view(self.flat.values, name)
            self._check_kind(name, live, kind(place))
            if live is not made or not lies_at(live, place):
                found[name] = live, live.detach().clone()
        return found

    def _gather(self, found: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Write those values into flat memory, and let both the tensor that is there now and ours show that."""
        for name, (live, values) in found.items():
            place, made = self.flat.view(self.flat.values, name), self._parameters[name]
            place.copy_(values)
            made.data = place
            made.requires_grad_(live.requires_grad)
            if live is not made and not live.is_inference():
                live.data = place

    def _keep(self) -> None:
        """Put tables into the order they were made in, let them note what comes, and remember how things are."""
        for path, part in self._parts.items():
            own = part.__dict__
            own["_parameters"] = NotedTable(self._made[path], self._note)
            for table, names in zip(_TABLES[1:], self._tables[path][1:], strict=True):
                own[table] = NotedTable({name: _tracked(own[table][name]) for name in names}, self._note)
            for name in _HOOKS:
                if not own[name]:
                    own[name] = NotedHooks(self._note)
        self._note.is_set = False
        self._addresses = [*map(_ADDRESS, self._live)]
        self._masks = list(named_masks(self.flat.module).values())
        self._versions = [*map(_VERSION, self._masks)]
        self._are_trained = [*map(_IS_TRAINED, self._live)]

    def _place(self, path: str) -> str:
        return f"{self.name}.{path}" if path else self.name


def _tracked(entry: Any) -> Any:
    """Replace a buffer that was made in inference mode, since PyTorch doesn't count how often it is written to."""
    return entry.clone() if isinstance(entry, Tensor) and entry.is_inference() else entry
