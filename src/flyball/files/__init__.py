"""Files under names, in a folder of this machine or in an object store, opened by URL.

Promises: a file appears as a whole or not at all; a write that replaces a file which changed meanwhile fails; a file
that is never replaced is fetched once and then read from this machine's disk.
"""

from flyball.files.local import LocalFiles
from flyball.files.opening import FILE_BACKENDS, files_in, open_files
from flyball.files.types import ABSENT, FileInfo, FileStore, StoredFile, unfinished

__all__ = [
    "ABSENT",
    "FILE_BACKENDS",
    "FileInfo",
    "FileStore",
    "LocalFiles",
    "StoredFile",
    "files_in",
    "open_files",
    "unfinished",
]
