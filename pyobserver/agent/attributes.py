"""Reads foreign objects without running their code: the descriptors of C types only, and attributes that are values.

What a class or an instance says of itself (`__class__`, `__getattr__`, properties, a metaclass) is never asked. No
instance gets a `__dict__` that it did not have. Rests on `type_getattro` and `_PyObject_GenericGetAttr` of CPython 3.8
to 3.15.
"""

import sys
from _weakref import ref
from gc import get_referents
from itertools import islice

MISSING = object()
MAX_TEXT = 200
_BEGINNING = slice(0, MAX_TEXT)
MAX_NUMBER = 1 << 62
MAX_NAMES = 2000  # candidates for an attribute's name, per class
MAX_FAILURES = 4  # to name an attribute of one class, at up to 1 ms each
MAX_KEYS = 20000  # keys looked through in a dict that may be an instance's own (0.6 ms)

HAVE_GC, HEAP_TYPE, IMMUTABLE, IS_STR, IS_CLASS = 1 << 14, 1 << 9, 1 << 8, 1 << 28, 1 << 31


def _function():
    cell = None
    return lambda: cell


Function = type(_function)
Cell = type(_function().__closure__[0])
Code = type(_function.__code__)
Module = type(sys)
WrapperDescriptor = type(str.__eq__)
SlotDescriptor = type(Function.__dict__["__globals__"])
Proxy = type(type.__dict__)

flags_of = type.__dict__["__flags__"].__get__
mro_of = type.__dict__["__mro__"].__get__
_name_of_type = type.__dict__["__name__"].__get__
_qualname_of_type = type.__dict__["__qualname__"].__get__
_module_of_type = type.__dict__["__module__"].__get__
_proxy_of_type = type.__dict__["__dict__"].__get__
module_dict = Module.__dict__["__dict__"].__get__  # type: ignore[index]
code_of = Function.__dict__["__code__"].__get__
globals_of = Function.__dict__["__globals__"].__get__
closure_of = Function.__dict__["__closure__"].__get__
_qualname_of_function = Function.__dict__["__qualname__"].__get__
_cell_contents = Cell.__dict__["cell_contents"].__get__
_get_slot = SlotDescriptor.__get__
_get_attribute = object.__getattribute__

# A class attribute of these types is a value: looking it up calls no `__get__`.
VALUES = frozenset(
    [id(t) for t in (type(None), bool, int, float, complex, str, bytes, tuple, list, dict, set, frozenset)]
)
_WRAPPERS = (
    (property, [property.__dict__[name].__get__ for name in ("fget", "fset", "fdel")]),
    (staticmethod, [staticmethod.__dict__["__func__"].__get__]),
    (classmethod, [classmethod.__dict__["__func__"].__get__]),
)


def text(value, missing="?"):
    """Return a short exact str of a str or an instance of a subclass of it, `missing` of anything else."""
    kind = type(value)
    if kind is str:
        return value if len(value) <= MAX_TEXT else value[:MAX_TEXT]
    if flags_of(kind) & IS_STR:
        return str.__getitem__(value, _BEGINNING)  # exact, and no copy of all
    return missing


def integer(value, missing=None):
    """Return an exact int that a column or a text has room for, `missing` of anything else."""
    return value if type(value) is int and -MAX_NUMBER < value < MAX_NUMBER else missing


def inherits(kind, base):
    """Return whether the type `kind` is `base` or a subclass of it, whatever its metaclass says."""
    if kind is base:
        return True
    for each in mro_of(kind) or ():  # None for a static type that is not ready (3.8, 3.9)
        if each is base:
            return True
    return False


def class_dict(kind):
    """Return the namespace of a class: the dict itself, not to be changed."""
    proxy = _proxy_of_type(kind)
    found = get_referents(proxy) if type(proxy) is Proxy else ()
    return found[0] if found and type(found[0]) is dict else {}


def namespace_of(module):
    """Return the namespace of a module by its name: the dict itself, not to be changed; None if it is not loaded."""
    found = sys.modules.get(module)
    return module_dict(found) if inherits(type(found), Module) else None


def class_module(kind):
    """Return the name of the module that a class says it is from, "" if that is no text."""
    try:
        return text(_module_of_type(kind), "")
    except AttributeError:
        return ""


def class_name(kind):
    """Return `module.Outer.Inner` for a class."""
    module = class_module(kind)
    name = text(_qualname_of_type(kind))
    return module + "." + name if module else name


def short_name(kind):
    """Return the name of a type without its module."""
    return text(_name_of_type(kind))


def function_name(function):
    """Return `module.qualname` of a Python function."""
    module = text(dict.get(globals_of(function), "__name__"), "")
    name = text(_qualname_of_function(function))
    return module + "." + name if module else name


def cell_contents(cell):
    """Return what a closure's cell holds, `MISSING` if nothing."""
    try:
        return _cell_contents(cell)
    except ValueError:
        return MISSING


def closure(function):
    """Return the free variables of a Python function, a dict from name to value."""
    cells = closure_of(function)
    if cells is None:
        return {}
    found = {}
    for name, cell in zip(code_of(function).co_freevars, cells):  # noqa: B905 (3.10 and later)
        value = cell_contents(cell)
        if value is not MISSING:
            found[name] = value
    return found


def attribute(instance, name, default=None):
    """Return a plain attribute of an instance; `default` where none is, or where to ask for it may run code."""
    for kind in mro_of(type(instance)) or ():
        found = class_dict(kind).get(name, MISSING)
        if found is MISSING:
            continue
        if type(found) is SlotDescriptor:
            return _slot(found, instance, default)
        if id(type(found)) not in VALUES:
            return default
        break
    try:
        return _get_attribute(instance, name)
    except AttributeError:
        return default


def _slot(descriptor, instance, default):
    try:
        return _get_slot(descriptor, instance)
    except (AttributeError, TypeError):
        return default


def weakly(thing, missing=None):
    """Return a weak reference to something, `missing` where its class allows none, as a program's own futures may."""
    try:
        return ref(thing)
    except TypeError:
        return missing


def key_of(mapping, value):
    """Return the name by which a dict holds `value`, "?" if its key is no text, or far behind, or it went meanwhile."""
    try:
        for key, each in islice(dict.items(mapping), MAX_KEYS):
            if each is value:
                return text(key)
    except RuntimeError:  # changed size meanwhile
        pass
    return "?"


class Shape:
    """What the attributes of the instances of one class may be called; good as long as the class is."""

    __slots__ = ("_failures", "_is_pure", "_is_safe", "_kind", "_last", "_names", "_names_outside", "_taken", "slots")

    def __init__(self, kind):
        self._kind = kind
        self.slots = []
        self._is_safe = True  # no key of a namespace can run code when it is compared
        self._is_pure = True  # no C type among the bases refers to more than the attributes
        self._last = self._names_outside = None
        self._failures = 0
        names = {}
        taken = self._taken = set()
        for each in mro_of(kind) or ():
            is_heap = flags_of(each) & HEAP_TYPE
            self._is_pure = self._is_pure and (each is object or bool(is_heap))
            for name, value in dict.items(class_dict(each)):
                if type(name) is not str:
                    self._is_safe = False
                elif type(value) is SlotDescriptor:
                    self.slots.append((name, value))
                    taken.add(name)
                elif id(type(value)) in VALUES:
                    names[name] = True
                else:
                    taken.add(name)
                    if is_heap:
                        _names_in(value, names, 0)
        self._names = [name for name in names if name not in taken]

    def name_of(self, instance, value):
        """Return by which attribute `instance` holds `value`, None if it cannot be told.

        An instance with a `__dict__` of its own is not for here: its values are named by the keys of that dict.
        """
        for name, descriptor in self.slots:
            if _slot(descriptor, instance, MISSING) is value:
                return name
        if not self._may_ask(instance):
            return None
        if self._last is not None and attribute(instance, self._last, MISSING) is value:
            return self._last
        if self._failures >= MAX_FAILURES:
            return None
        found = self._among(self._names, instance, value)
        if found is None:
            if self._names_outside is None:
                self._names_outside = _names_of_module(class_module(self._kind), self._taken)
            found = self._among(self._names_outside, instance, value)
            self._failures += found is None
        return found

    def _among(self, names, instance, value):
        for name in names:
            try:
                if _get_attribute(instance, name) is value:
                    self._last = name
                    return name
            except AttributeError:
                pass
        return None

    def is_dict_of(self, instance, mapping):
        """Return whether `mapping`, a dict that `instance` refers to, is its `__dict__`.

        Told by a lookup: what is under a key is what the instance has under that name.
        """
        if not self._may_ask(instance):
            return type(next(iter(mapping), None)) is str
        for count, (key, value) in enumerate(dict.items(mapping)):
            if count == 8 or type(key) is not str:
                break
            if attribute(instance, key, MISSING) is value:
                return True
        return False

    def values(self, instance):
        """Return the values of all attributes that can be read without asking for all that `instance` refers to."""
        found = [_slot(descriptor, instance, MISSING) for _, descriptor in self.slots]
        if self._may_ask(instance):
            found += [attribute(instance, name, MISSING) for name in self._names]
        return [value for value in found if value is not MISSING]

    def _may_ask(self, instance):
        """Return whether a lookup in what may be the instance's `__dict__` compares no key that has code of its own.

        Such a dict is the only thing beside slots and class that an instance of classes in Python refers to; where
        there is more, the attributes lie in the instance (3.11+), under keys that are exact strings.
        """
        if not self._is_safe:
            return False
        more = 0
        dicts = []
        for value in get_referents(instance):
            more += 1
            if type(value) is dict:
                dicts.append(value)
        if not dicts:
            return True
        if self._is_pure and more > 1 + len(self.slots) + 1:
            return True
        return all(map(_compares_safely, dicts))


def _compares_safely(mapping):
    """Return whether looking for a text in `mapping` runs no `__eq__` written in Python."""
    known = set()
    for count, key in enumerate(dict.keys(mapping)):
        kind = type(key)
        if kind is not str and id(kind) not in known:
            for each in mro_of(kind) or ():
                found = class_dict(each).get("__eq__")
                if found is not None:
                    if type(found) is not WrapperDescriptor:
                        return False
                    break
            known.add(id(kind))
        if count == MAX_KEYS:
            return False
    return True


def _names_of_module(module, taken):
    """Return the names that the functions of a module and the methods of its classes use, of attributes or globals."""
    names = {}
    for value in list(dict.values(namespace_of(module) or {})):
        if len(names) >= MAX_NAMES:
            break
        if flags_of(type(value)) & IS_CLASS:
            for each in list(dict.values(class_dict(value))):
                _names_in(each, names, 0)
        else:
            _names_in(value, names, 0)
    return [name for name in names if name not in taken]


def _names_in(value, names, depth):
    """Collect the names that a method, or what is made of methods, reads or sets."""
    kind = type(value)
    if kind is Function:
        value = code_of(value)
        kind = Code
    if kind is Code:
        for name in value.co_names:
            if len(names) >= MAX_NAMES:
                return
            names[name] = True
        for constant in value.co_consts:
            if type(constant) is Code:
                if depth < 3:
                    _names_in(constant, names, depth + 1)
            elif (
                type(constant) is str
                and len(constant) <= MAX_TEXT
                and constant.isidentifier()
                and len(names) < MAX_NAMES
            ):
                names[constant] = True  # of setattr(), or a key of vars()
        return
    for wrapper, parts in _WRAPPERS:
        if kind is wrapper:
            for part in parts:
                if depth < 3:
                    _names_in(part(value), names, depth + 1)
