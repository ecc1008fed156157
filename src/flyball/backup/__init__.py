"""Backups of a home: a whole, verified copy at one time, in a folder or an object store, and the way back.

Promises: a backup is made while the home is in use; it is listed only when all of it is there, and `verify` reads every
byte of it; what did not change since an earlier backup in the same place is not stored twice; a backup that was killed
at any step is continued or begun again; a restored home answers at once, with its versions and their state.
"""

from flyball.backup.backup import Backup, BackupReport
from flyball.backup.manifest import BackedUpFile, BackupManifest
from flyball.backup.repository import BackupRepository, open_repository
from flyball.backup.restore import restore_home

__all__ = [
    "BackedUpFile",
    "Backup",
    "BackupManifest",
    "BackupReport",
    "BackupRepository",
    "open_repository",
    "restore_home",
]
