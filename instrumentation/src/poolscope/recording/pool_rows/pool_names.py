"""Name pools by the line that makes them or by their database, without code of the application."""

from collections.abc import Mapping
from dataclasses import replace

from poolscope.recording.callsite import UNKNOWN_SITE, Site
from poolscope.recording.pool import PoolIdentity


class PoolNames:
    """The names of the setting `POOLSCOPE_POOL_NAMES`, by line, file or database."""

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self._names = dict(names or {})

    def apply_names(self, identity: PoolIdentity, site: Site) -> PoolIdentity:
        """Return the identity with the name for its line, else its file, else its database.

        The name for a database is for a pool that has its database's name.
        """
        if not self._names:
            return identity
        line = "" if site is UNKNOWN_SITE else site.label
        keys = [line, line.rpartition(":")[0]]
        if identity.name == identity.db_namespace:
            keys.append(identity.db_namespace)
        name = next((self._names[key] for key in keys if key and key in self._names), None)
        return identity if name is None else replace(identity, name=name)
