"""Moves a home: copies all of its stores to those of another one, and switches over with the service on.

Promises: a copy can be interrupted at any time and continued, and nothing is there twice; what is in the new home is
compared with the old one before the switch; until the switch the old home is the only one that is written to, after it
the new one; a store that holds something else is not written to.
"""

from flyball.migration.migration import Migration, MigrationReport
from flyball.migration.own_settings import own_settings, write_own_settings
from flyball.migration.parts import PartCopy

__all__ = ["Migration", "MigrationReport", "PartCopy", "own_settings", "write_own_settings"]
