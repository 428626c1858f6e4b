"""What the tests of a site, and of channel layers, are built on."""
