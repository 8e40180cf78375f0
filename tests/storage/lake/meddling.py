"""A store in which others act between two steps of whoever uses it."""

from storage.stores.interface import ObjectStore


class Meddling(ObjectStore):
    """`others` are pairs of a number and what somebody else does after that many operations."""

    def __init__(self, inner, others):
        self.inner, self.uri, self.others, self.count = inner, inner.uri, others, 0

    def _step(self):
        self.count += 1
        for at, act in self.others:
            if at == self.count:
                act()

    def __getattribute__(self, name):
        if name not in {"get", "open", "put_once", "replace", "stat", "list", "delete"}:
            return super().__getattribute__(name)
        inner = getattr(super().__getattribute__("inner"), name)

        def call(*given):
            result = inner(*given)
            result = iter([*result]) if name == "list" else result
            self._step()
            return result

        return call

    get = open = put_once = replace = stat = list = delete = None


Meddling.__abstractmethods__ = frozenset()
