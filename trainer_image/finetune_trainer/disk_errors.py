"""What the operating system says when a disk or a network fails."""

import errno
from typing import Final

DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
"""There is no room, or none for this user."""
PASSING: Final = (*DISK_FULL, errno.EIO, errno.ESTALE, errno.EROFS, errno.ETIMEDOUT)
"""Errors of a disk or a network that may recover."""
