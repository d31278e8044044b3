from harness import world  # noqa: F401 (a fixture)
