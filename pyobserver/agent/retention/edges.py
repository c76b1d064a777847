"""What one object refers to: what the garbage collector is shown, and what it is not.

`gc.get_referents` leaves out the keys of a dict whose keys are all str, everything in a numpy array, and what C code
holds without telling the collector (nothing can be done about that). From 3.14 on it shows too much of some frames.
"""

from _collections import OrderedDict
from gc import get_referents
from sys import getrefcount

from pyobserver.agent.attributes import HEAP_TYPE, flags_of, module_dict
from pyobserver.agent.greenlet_types import named_variables
from pyobserver.agent.retention.borrowed import BorrowedReferences

# More references than that to the first key: it is a name that the program knows, and so are the others.
_KNOWN_KEY = 4
FEW_ITEMS = 16  # up to so many, what else a dict of a subclass refers to may be as many
MAX_ARRAY = 20000  # elements of an array of objects that are looked at


def _add_keys(o, refs):
    """For exact dicts: add the keys where they are not shown, and may be owned: asked is one of them."""
    if o and len(refs) == len(o) and getrefcount(next(iter(o))) < _KNOWN_KEY:
        refs += o


def _add_keys_of_subclass(o, refs, often=1):
    """For dicts which refer to a few things more than their items; each key is shown so `often`, or once less."""
    items = dict.__len__(o)
    if items > FEW_ITEMS:
        is_hidden = len(refs) < (1 + often) * items
    elif items:
        key = next(iter(dict.keys(o)))
        is_hidden = len([r for r in refs if r is key]) < often
    else:
        return
    if is_hidden:
        refs += dict.keys(o)


def _add_keys_in_order(o, refs):
    """For OrderedDict: it holds every key once more, and shows that one."""
    _add_keys_of_subclass(o, refs, 2)


class Edges:
    """Functions that correct what `get_referents` said of an object, by `id(type)`; for most types there is none."""

    def __init__(self):
        self.special = {id(dict): _add_keys, id(OrderedDict): _add_keys_in_order}
        self._knows_arrays = False
        self.heap_types = set()  # learned in this slice
        self.frames = {}  # id of a frame of a suspended greenlet -> ids of variables that are not its own
        self.borrowed = BorrowedReferences()
        for tp, correct in self.borrowed.edges_by_type():
            self.special[id(tp)] = correct

    def begin_slice(self):
        """Forget all classes and code objects: their ids may mean others by now."""
        for key in self.heap_types:
            self.special.pop(key, None)
        self.heap_types.clear()
        self.borrowed.begin_slice()

    def learn(self, tp, bases):
        """Note how referents of instances of the class `tp` are to be corrected; `bases` are the ids of its bases."""
        if id(tp) not in self.special and id(dict) in bases:
            self.special[id(tp)] = _add_keys_in_order if id(OrderedDict) in bases else _add_keys_of_subclass
            if flags_of(tp) & HEAP_TYPE:  # a static one, as defaultdict up to 3.11, is not learned again
                self.heap_types.add(id(tp))

    def learn_libraries(self, modules):
        """Use what the target has loaded; return the type of numpy's arrays when it is seen for the first time."""
        self.borrowed.learn(modules)
        if self._knows_arrays or "numpy" not in modules:
            return None
        try:
            array = module_dict(modules["numpy"]).get("ndarray")
            if type(array) is not type:  # numpy is being imported
                return None
            self.special[id(array)] = _edges_of_arrays(array)
        except (TypeError, KeyError):  # no module, or not the numpy we know
            return None
        self._knows_arrays = True
        return array

    def add_variables(self, frame, refs):
        """For frames, from 3.13 on: add the variables of those in `frames`, which show the collector nothing."""
        beside = self.frames.get(id(frame))
        if beside is not None:
            refs += [value for _, value in named_variables(frame) if id(value) not in beside]

    def of(self, o):
        """Return a list of what `o` refers to, an object as often as it is referred to."""
        refs = get_referents(o)
        correct = self.special.get(id(type(o)))
        if correct is not None:
            correct(o, refs)
        return refs


def _edges_of_arrays(array):
    """Return the correction for numpy arrays: they show the collector nothing."""
    base = array.__dict__["base"].__get__
    kind = array.__dict__["dtype"].__get__
    size = array.__dict__["size"].__get__
    flattened = array.__dict__["reshape"]
    as_list = array.__dict__["tolist"]

    def correct(o, refs):
        if base(o) is not None:
            refs.append(base(o))
        elif kind(o).kind == "O" and size(o) < MAX_ARRAY:
            refs += as_list(flattened(o, -1))

    return correct
