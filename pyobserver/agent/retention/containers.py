"""Containers: how many elements one has, and some of them picked by chance, without walking through it.

Known are list, tuple, dict, set, frozenset, deque, their subclasses, and numpy arrays of objects. They are read through
the functions of the type in C that they come from, never through methods of the subclass.
"""

from _collections import OrderedDict, deque
from itertools import islice

from pyobserver.agent.attributes import HEAP_TYPE, flags_of

STRIDE = 4000  # entries of a dict or set that are stepped over at most, from each end (20 to 50 ns each)
BLOCKS = 20000  # blocks of a deque that are stepped over at most, for all picks together
EMPTIEST = 500  # bytes of table per entry; above, a dict or set is nearly empty and finding entries takes too long
SEED, MULTIPLIER, INCREMENT, MASK = 1, 6364136223846793005, 1442695040888963407, (1 << 64) - 1  # Knuth's MMIX
_MISSING = object()


ONE, KEY_AND_VALUE, KEY_IN_ORDER_AND_VALUE = (1,), (1, 1), (2, 1)


class Picked:
    """Some entries of a container, out of `total`: flat `objects`, as many per entry as `held` says how often the
    container refers to each.

    `near` of the entries come from the front, the others from the back; `unseen` entries were out of reach.
    """

    __slots__ = ("held", "near", "objects", "total", "unseen")

    def __init__(self, objects, held, total):
        self.objects = objects
        self.held = held
        self.total = total
        self.near = len(objects) // len(held)
        self.unseen = 0


def _some(total, number, chance):
    """Return about `number` different indexes; twice the same element would seem to have one reference more."""
    return {chance(total) for _ in range(number)}


def _pick_list(o, number, chance):
    total = list.__len__(o)
    return Picked([list.__getitem__(o, at) for at in _some(total, number, chance)], ONE, total)


def _pick_tuple(o, number, chance):
    total = tuple.__len__(o)
    return Picked([tuple.__getitem__(o, at) for at in _some(total, number, chance)], ONE, total)


def _pick_deque(o, number, chance):
    """It has to go along its blocks of 64 from the nearer end, so very long ones give few elements."""
    total = deque.__len__(o)
    number = max(1, min(number, BLOCKS * 256 // total))
    return Picked([deque.__getitem__(o, at) for at in _some(total, number, chance)], ONE, total)


def _step_through(iterator, number, reach, chance):
    """Return about `number` of the first `reach` things, with gaps made by chance, so that no pattern fits them."""
    found = []
    gap = max(1, 2 * reach // number)
    left = reach
    while True:
        step = chance(gap)
        left -= step + 1
        one = next(islice(iterator, step, None), _MISSING) if left >= 0 else _MISSING
        if one is _MISSING:
            return found
        found.append(one)


def _pick_dict(o, number, chance):
    """Only the ends can be reached: of more than twice `STRIDE` entries, those in the middle stay unseen."""
    total = dict.__len__(o)
    near = min(STRIDE, (total + 1) // 2)
    far = min(STRIDE, total - near)
    entries = _step_through(iter(dict.items(o)), (number + 1) // 2, near, chance)
    front = len(entries)
    if far:
        backwards = zip(reversed(dict.keys(o)), reversed(dict.values(o)))  # noqa: B905 (3.10 and later)
        entries += _step_through(backwards, (number + 1) // 2, far, chance)
    objects = []
    for entry in entries:
        objects += entry
    picked = Picked(objects, KEY_AND_VALUE, total)
    picked.near = front
    picked.unseen = total - near - far
    return picked


def _pick_ordered(o, number, chance):
    """An OrderedDict refers to each key from its table and from its order."""
    picked = _pick_dict(o, number, chance)
    picked.held = KEY_IN_ORDER_AND_VALUE
    return picked


def _picks_from(kind):
    """Return a function that picks from a set or frozenset.

    The order is that of the hashes, so that the first entries are as good as any.
    """

    def pick(o, number, chance):
        total = kind.__len__(o)
        return Picked(_step_through(kind.__iter__(o), number, min(2 * STRIDE, total), chance), ONE, total)

    return pick


_KINDS = {
    id(OrderedDict): (dict.__len__, _pick_ordered),
    id(list): (list.__len__, _pick_list),
    id(tuple): (tuple.__len__, _pick_tuple),
    id(dict): (dict.__len__, _pick_dict),
    id(set): (set.__len__, _picks_from(set)),
    id(frozenset): (frozenset.__len__, _picks_from(frozenset)),
    id(deque): (deque.__len__, _pick_deque),
}


class Chance:
    """Numbers by chance, the same ones each time: the upper half of a linear congruential generator's state.

    The interpreter's own generator is an extension, which a process that has changed its root or user cannot load.
    """

    __slots__ = ("_state",)

    def __init__(self):
        self.restart()

    def restart(self):
        """Begin with the first number again."""
        self._state = SEED

    def below(self, limit):
        """Return a number from 0 on, below `limit`."""
        self._state = (self._state * MULTIPLIER + INCREMENT) & MASK
        return (self._state >> 32) * limit >> 32


class Containers:
    """The container types seen so far, by `id(type)`: how long an instance is, and how to pick from it.

    `picked` elements are the same for the same container every time, so that a value which does not change does not
    seem to: the generator starts anew with every scan.
    """

    def __init__(self):
        self.lengths = {key: length for key, (length, _) in _KINDS.items()}
        self.heap_types = set()  # learned in this slice
        self._pickers = {key: pick for key, (_, pick) in _KINDS.items()}
        self._bases = {id(tp): tp for tp in (list, tuple, dict, set, frozenset, deque)}
        self._bases[id(OrderedDict)] = dict
        self._chance = Chance()
        self.chance = self._chance.below

    def begin_slice(self):
        """Forget all classes: their ids may mean others by now."""
        for key in self.heap_types:
            self.lengths.pop(key, None)
            self._pickers.pop(key, None)
            self._bases.pop(key, None)
        self.heap_types.clear()

    def begin_scan(self):
        """Let the next picks be those of every scan."""
        self._chance.restart()

    def learn(self, tp, bases):
        """Note whether `tp` is a kind of container; `bases` are the ids of its bases."""
        if id(tp) in self.lengths:
            return
        for base, (length, pick) in _KINDS.items():
            if base in bases:
                self.lengths[id(tp)], self._pickers[id(tp)] = length, pick
                self._bases[id(tp)] = self._bases[base]
                if flags_of(tp) & HEAP_TYPE:  # a static one, as defaultdict up to 3.11, is not learned again
                    self.heap_types.add(id(tp))
                return

    def learn_arrays(self, array):
        """Note how to pick from numpy's arrays of objects; all others have no elements that are objects."""
        kind = array.__dict__["dtype"].__get__
        size = array.__dict__["size"].__get__
        item = array.__dict__["item"]

        def length(o):
            return size(o) if kind(o).kind == "O" else 0

        def pick(o, number, chance):
            total = size(o)
            return Picked([item(o, at) for at in _some(total, number, chance)], ONE, total)

        self.lengths[id(array)] = length
        self._pickers[id(array)] = pick

    def is_nearly_empty(self, o, size):
        """Return whether a table of so many bytes has so few entries that going through it takes too long."""
        key = id(type(o))
        return self._bases.get(key) in (dict, set, frozenset) and size > EMPTIEST * (self.lengths[key](o) + 1000)

    def base_of(self, tp):
        """Return the container type that `tp` is or comes from, None if it is no container that was learned."""
        return self._bases.get(id(tp))

    def first(self, o):
        """Return the first entry of a list, tuple or dict as a tuple, for the others an empty one."""
        kind = type(o)
        if kind is dict:
            return next(iter(o.items()))
        return (o[0],) if kind is list or kind is tuple else ()

    def pick(self, o, number):
        """Return `Picked`: about `number` entries of a container that has some."""
        return self._pickers[id(type(o))](o, number, self.chance)
