"""``python -m llm_pv`` is the command ``llm-pv``."""

from llm_pv.cli.main import main

main()
