"""Tools for tests of Twinwatch and of its plug-ins: virtual time, fakes of the doors, captures of real machines."""
