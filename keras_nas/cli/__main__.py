"""``python -m keras_nas.cli``."""

from keras_nas.cli import main

main()
