"""`yanshao` for the tests: with the bug put back that the environment names (`mutations`), else as it is."""

from stream.cli import main
from tests.chaos.driver.mutations import install

if __name__ == "__main__":
    install()
    main()
