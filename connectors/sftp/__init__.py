"""A folder on an SFTP server of another system: files are collected from it, or brought to it."""

from connectors.sftp.settings import SftpConfig, SftpOutletConfig, SftpRead

__all__ = ["SftpConfig", "SftpOutletConfig", "SftpRead"]
