"""The house rules a machine can check, each proven on code that breaks it."""
