"""A directory that another system drops files into, or collects them from."""

from connectors.folder.outlet import FolderOutlet, FolderOutletConfig
from connectors.folder.settings import FolderConfig, FolderRead
from connectors.folder.source import FolderSource
from connectors.formats.files import Ready

__all__ = ["FolderConfig", "FolderOutlet", "FolderOutletConfig", "FolderRead", "FolderSource", "Ready"]
