"""Programs of users, as they would write them: `make check` reads their types, tests run them."""
