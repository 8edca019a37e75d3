"""Module: the base of every layer and network. It knows its parameters, buffers and parts."""

from collections.abc import Callable, Iterator
from typing import Any, Literal, Self

from lamina import dtypes
from lamina.autograd.grad_mode import state
from lamina.autograd.hook_handle import HookHandle
from lamina.autograd.recorder import changes
from lamina.dtypes import DType
from lamina.errors import ArgumentError, DTypeError, StateError
from lamina.nn.hooks import Entry, Hook, Hooks, enter
from lamina.nn.parameter import Parameter
from lamina.nn.state import LoadResult, load_state, shortened
from lamina.ops.elementwise.arithmetic import cast
from lamina.tensor import Tensor
from lamina.tensor.core import check_device

Role = Literal["parameter", "buffer", "volatile buffer", "module"]
BUFFERS: tuple[Role, Role] = ("buffer", "volatile buffer")


class Module:
    """A layer or network: derive from it, make the parts in `__init__`, write `forward`.

    What is assigned to an attribute is registered by its kind: a `Parameter` is learnt, a `Module`
    is a part; a buffer, such as a running mean, is named by `register_buffer`. Calling the module
    calls `forward`.

    >>> class Scale(Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = Parameter(lamina.tensor(2.0))
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> scale = Scale()
    >>> scale(lamina.tensor([1.0, 3.0])).tolist()
    [2.0, 6.0]
    >>> [name for name, _ in scale.named_parameters()]
    ['factor']
    """

    training: bool
    # Registered names in their order; the values are ordinary attributes.
    _roles: dict[str, Role]
    _hooks: Hooks | None

    def __init__(self) -> None:
        self.__dict__["_roles"] = {}
        self.__dict__["_hooks"] = None
        self.training = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the module makes of its inputs; every derived class writes its own."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(); define it")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return `forward` of the arguments, with the registered hooks around it."""
        if state.recorder is not None:
            state.recorder.guard(self._as_it_is())
        if self._hooks is None:
            return self.forward(*args, **kwargs)
        return self._hooks.call(self, args, kwargs)

    def _as_it_is(self) -> Callable[[], bool]:
        """Return whether mode and parts are what they are now, as a function to ask later."""
        mode, parts = self.training, {name: self.__dict__[name] for name in self._roles}
        return lambda: (
            self.training == mode
            and self._roles.keys() == parts.keys()
            and all(self.__dict__[name] is part for name, part in parts.items())
        )

    def __setattr__(self, name: str, value: Any) -> None:
        role = _role_of(value)
        roles = self.__dict__.get("_roles")
        if role is None and (roles is None or name not in roles):
            changes.count += name == "training"
            object.__setattr__(self, name, value)
            return
        if roles is None:
            raise ArgumentError(
                f"{type(self).__name__} assigns {name!r} before super().__init__(); call that first"
            )
        changes.count += 1
        if role is not None:
            roles[name] = role
        elif value is not None:
            self._check_kind(name, value)
        self.__dict__[name] = value

    def __delattr__(self, name: str) -> None:
        changes.count += 1
        object.__delattr__(self, name)
        self._roles.pop(name, None)

    def _check_kind(self, name: str, value: Any) -> None:
        role = self._roles[name]
        if role in BUFFERS and isinstance(value, Tensor):
            return
        wanted = {"parameter": "nn.Parameter", "module": "nn.Module"}.get(role, "Tensor")
        raise DTypeError(
            f"{type(self).__name__}.{name} is a {role}; {type(value).__name__} was assigned to it, "
            f"expected {wanted} or None"
        )

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Make `param` a parameter under `name`; None holds the name without one."""
        self._register(name, param, "parameter", Parameter)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Make `tensor` a buffer: state that is not learnt; saved if `persistent`."""
        self._register(name, tensor, "buffer" if persistent else "volatile buffer", Tensor)

    def register_module(self, name: str, module: "Module | None") -> None:
        """Make `module` a part under `name`, which need not be an identifier."""
        self._register(name, module, "module", Module)

    add_module = register_module

    def _register(self, name: str, value: Any, role: Role, kind: type[Any]) -> None:
        if value is not None and not isinstance(value, kind):
            raise DTypeError(
                f"{name!r} was registered as a {role} with {type(value).__name__}; expected "
                f"{kind.__name__} or None"
            )
        if not name or "." in name:
            raise ArgumentError(
                f"{name!r} given as the name of a {role}; expected one without dots, not empty"
            )
        if hasattr(self, name) and name not in self._roles:
            raise ArgumentError(
                f"{type(self).__name__} has an attribute {name!r} already; choose another name"
            )
        self._roles[name] = role
        self.__dict__[name] = value

    def _held(self, *roles: Role) -> Iterator[tuple[str, Any]]:
        """Yield names and values of this module's own members in those roles."""
        for name, role in self._roles.items():
            value = self.__dict__[name]
            if role in roles and value is not None:
                yield name, value

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """Yield the parts of this module with their names, each part once."""
        seen: set[int] = set()
        for name, module in self._held("module"):
            if id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator["Module"]:
        """Yield the parts of this module."""
        return (module for _, module in self.named_children())

    def named_modules(
        self, memo: "set[Module] | None" = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, "Module"]]:
        """Yield this module and all inside it, with dotted names from `prefix` on.

        A module met by two names comes once, unless `remove_duplicate` is false.
        """
        seen: set[Module] = set() if memo is None else memo
        if remove_duplicate:
            if self in seen:
                return
            seen.add(self)
        yield prefix, self
        for name, module in self._held("module"):
            yield from module.named_modules(seen, joined(prefix, name), remove_duplicate)

    def modules(self) -> Iterator["Module"]:
        """Yield this module and all inside it, each once."""
        return (module for _, module in self.named_modules())

    def _named_members(
        self, roles: tuple[Role, ...], prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        """Yield the members in those roles with dotted names, each tensor once."""
        owners = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else [(prefix, self)]
        )
        seen: set[int] = set()
        for path, module in owners:
            for name, value in module._held(*roles):
                if id(value) in seen and remove_duplicate:
                    continue
                seen.add(id(value))
                yield joined(path, name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield the parameters here and (with `recurse`) inside, with dotted names."""
        return self._named_members(("parameter",), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield the parameters here and (with `recurse`) inside, each once."""
        return (value for _, value in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield the buffers here and (with `recurse`) inside, saved or not, with dotted names."""
        return self._named_members(BUFFERS, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield the buffers here and (with `recurse`) inside, each once."""
        return (value for _, value in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> "Module":
        """Return the module at a dotted name; "" is this one. StateError where there is none."""
        found = self
        for name in target.split(".") if target else ():
            if found._roles.get(name) != "module" or found.__dict__[name] is None:
                parts = shortened(part for part, _ in found._held("module"))
                raise StateError(
                    f"{type(found).__name__} has no part {name!r} (asked for {target!r}); "
                    f"it has {parts or 'none'}"
                )
            found = found.__dict__[name]
        return found

    def get_parameter(self, target: str) -> Parameter:
        """Return the parameter at a dotted name. StateError where there is none."""
        return self._member(target, ("parameter",))

    def get_buffer(self, target: str) -> Tensor:
        """Return the buffer at a dotted name. StateError where there is none."""
        return self._member(target, BUFFERS)

    def _member(self, target: str, roles: tuple[Role, ...]) -> Any:
        path, _, name = target.rpartition(".")
        own = dict(self.get_submodule(path)._held(*roles))
        if name not in own:
            raise StateError(
                f"{type(self).__name__} has no {roles[0]} {target!r}; beside it are "
                f"{shortened(own) or 'none'}"
            )
        return own[name]

    def train(self, mode: bool = True) -> Self:
        """Put this module and its parts in training mode (or, with False, evaluation mode)."""
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self) -> Self:
        """Put this module and its parts in evaluation mode: no dropout, running statistics used."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Ask for gradients of all parameters, or (with False) freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, or with `set_to_none=False` write zeros into them."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = parameter.grad.detach().zero_()

    def apply(self, fn: Callable[["Module"], Any]) -> Self:
        """Call `fn` on every part, parts of parts first, and on this module last."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def to(self, *targets: Any, dtype: Any = None, device: Any = None) -> Self:
        """Convert floating parameters, buffers and gradients to a dtype, in place.

        Takes `to(dtype)`, `to("cpu")`, `to(device, dtype)` and `to(tensor)`, whose dtype is taken.
        """
        for target in targets:
            if isinstance(target, Tensor):
                dtype = target.dtype
            elif isinstance(target, str) and target not in dtypes.DTYPES:
                device = target
            elif target is not None:
                dtype = target
        check_device(device)
        if dtype is not None:
            self._convert(dtypes.as_dtype(dtype))
        return self

    def _convert(self, dtype: DType) -> None:
        if not dtype.is_floating_point:
            raise DTypeError(
                f"a module was converted to {dtype.name}; expected float16, bfloat16, float32 or "
                "float64"
            )
        for tensor in (*self.parameters(), *self.buffers()):
            for held in (tensor, tensor.grad):
                if held is not None and held.dtype.is_floating_point:
                    changes.count += 1
                    held.array = cast(held.detach(), dtype).array

    def float(self) -> Self:
        """Convert to float32."""
        return self.to(dtypes.float32)

    def double(self) -> Self:
        """Convert to float64."""
        return self.to(dtypes.float64)

    def half(self) -> Self:
        """Convert to float16."""
        return self.to(dtypes.float16)

    def bfloat16(self) -> Self:
        """Convert to bfloat16."""
        return self.to(dtypes.bfloat16)

    def cpu(self) -> Self:
        """Return the module itself: its memory is the CPU's."""
        return self

    def state_dict(self, *, prefix: str = "", keep_vars: bool = False) -> dict[str, Tensor]:
        """Return every parameter and persistent buffer by dotted name, sharing their memory.

        Names and shapes are PyTorch's. The tensors are detached unless `keep_vars`.
        """
        saved: dict[str, Tensor] = {}
        for path, module in self.named_modules(prefix=prefix, remove_duplicate=False):
            for role in ("parameter", "buffer"):
                for name, value in module._held(role):
                    saved[joined(path, name)] = value if keep_vars else value.detach()
        return saved

    def load_state_dict(self, state_dict: Any, strict: bool = True) -> LoadResult:
        """Copy the values of `state_dict` into the parameters and buffers of the same names.

        StateError where a name is missing, unexpected (both allowed with `strict=False`) or of
        another shape; the module is then as it was. Values may be tensors or arrays of any dtype.
        Returns the names that were passed over, as `missing_keys` and `unexpected_keys`.

        >>> from lamina import nn
        >>> layer = nn.Linear(2, 1)
        >>> layer.load_state_dict({"weight": lamina.ones(1, 2)})
        Traceback (most recent call last):
        lamina.errors.StateError: the given state does not fit Linear: missing bias; nothing was...
        """
        return load_state(
            type(self).__name__, self.state_dict(keep_vars=True), state_dict, strict=strict
        )

    def _hook_table(self) -> Hooks:
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks

    def register_forward_pre_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """Call `hook(module, args)` before every forward; it may return other arguments.

        With `with_kwargs` it is `hook(module, args, kwargs)`, and returns both or None.
        """
        return enter(self._hook_table().before, Entry(hook, with_kwargs), first=prepend)

    def register_forward_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """Call `hook(module, args, output)` after every forward; it may return another output.

        With `with_kwargs` it is `hook(module, args, kwargs, output)`.
        """
        return enter(self._hook_table().after, Entry(hook, with_kwargs), first=prepend)

    def register_full_backward_hook(self, hook: Hook, prepend: bool = False) -> HookHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of a call's inputs are
        known.

        Both are tuples, None for what has no gradient; it may return another `grad_input`.
        """
        return enter(self._hook_table().backward, Entry(hook), first=prepend)

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the printed module, beside its parts."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        parts = [
            f"({name}): {indented(repr(self.__dict__[name]))}"
            for name, role in self._roles.items()
            if role == "module"
        ]
        return assembled(type(self).__name__, extra, parts)


def _role_of(value: Any) -> Role | None:
    if isinstance(value, Parameter):
        return "parameter"
    return "module" if isinstance(value, Module) else None


def joined(prefix: str, name: str) -> str:
    """Return a dotted name."""
    return f"{prefix}.{name}" if prefix else name


def indented(text: str) -> str:
    """Return a text of several lines with all but the first moved in."""
    return text.replace("\n", "\n  ")


def assembled(name: str, extra: str, parts: list[str]) -> str:
    """Return the printed form of a module from its name, its extra text and its parts."""
    lines = [*(extra.split("\n") if extra else ()), *parts]
    if not parts and len(lines) <= 1:
        return f"{name}({extra})"
    return f"{name}(\n  " + "\n  ".join(lines) + "\n)"
