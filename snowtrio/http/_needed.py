"""Check that what the ``http`` extra brings is there, and say how to get it where it is not.

Imported before all else here, so that an ``import snowtrio.http`` without the extra fails with what
to do instead of the name of a package that its reader may never have heard of.
"""

from importlib import import_module

NEEDED = ("httptools", "msgspec", "multidict", "yarl")

for _name in NEEDED:
    try:
        import_module(_name)
    except ModuleNotFoundError as error:
        # It is there, and what it needs itself is not: that is another trouble.
        if error.name != _name:
            raise
        raise ModuleNotFoundError(
            f"snowtrio.http needs {_name}, which is not installed: pip install 'snowtrio[http]'",
            name=_name,
        ) from error
