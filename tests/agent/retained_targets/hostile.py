"""Classes of which every method that a look might call takes note of it, and says something wrong."""

CALLED = []


class Hostile:
    """Everything that might be called by one who looks too closely; what it says is wrong as well."""

    def __init__(self, payload=None):
        self.payload = payload

    def __sizeof__(self):
        CALLED.append("sizeof")
        return 10**12

    def __eq__(self, other):
        CALLED.append("eq")
        return False

    def __hash__(self):
        CALLED.append("hash")
        return 1

    def __getattr__(self, name):
        CALLED.append("getattr " + name)
        raise AttributeError(name)

    def __len__(self):
        CALLED.append("len")
        return 1

    def __bool__(self):
        CALLED.append("bool")
        return True

    def __repr__(self):
        CALLED.append("repr")
        return "hostile"

    @property
    def __class__(self):
        CALLED.append("class")
        return int


class HostileMeta(type):
    def __hash__(cls):
        CALLED.append("meta hash")
        return type.__hash__(cls)

    def __eq__(cls, other):
        CALLED.append("meta eq")
        return cls is other

    def __getattribute__(cls, name):
        CALLED.append("meta getattribute " + name)
        return type.__getattribute__(cls, name)

    def __instancecheck__(cls, instance):
        CALLED.append("meta instancecheck")
        return False

    def __subclasscheck__(cls, other):
        CALLED.append("meta subclasscheck")
        return False


class HostileByClass(metaclass=HostileMeta):
    def __init__(self, payload=None):
        self.payload = payload


def counting(kind, *names):
    """A subclass of a container whose methods all count, and lie."""

    def method(name):
        def call(self, *arguments):
            CALLED.append(kind.__name__ + " " + name)
            return 0 if name == "__len__" else iter(())

        return call

    return HostileMeta("Hostile" + kind.__name__, (kind,), {name: method(name) for name in names})


READING = ("__len__", "__iter__", "__getitem__", "__contains__", "__reversed__", "keys", "values", "items", "copy")
HostileList = counting(list, *READING)
HostileDict = counting(dict, *READING)
HostileSet = counting(set, *READING)
HostileTuple = counting(tuple, *READING)
