"""`python -m otoc_ros.cli`, for launchers such as torchrun that want a module."""

from otoc_ros.cli import main

if __name__ == "__main__":
    main()
