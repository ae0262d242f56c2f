"""The machine a job finds: processes side by side, a GPU or none, the packages it needs."""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from llm_pv.errors import ConfigurationError, MissingExtraError
from llm_pv.tracks.finetune.memory import free_memory
from llm_pv.tracks.finetune.request import Precision

_GPU_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")
_REPORTERS = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of one job, as torchrun and accelerate launch tell them."""

    rank: int = 0
    "This process's number."
    size: int = 1
    "How many there are."
    local_size: int = 1
    "How many of them share this machine."

    @classmethod
    def here(cls) -> "ProcessGroup":
        """Read the environment."""
        names = ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
        rank, size, local = (int(os.environ.get(name, default)) for name, default in
                             zip(names, ("0", "1", "1"), strict=True))  # fmt: skip
        return cls(rank, size, local)

    @property
    def first(self) -> bool:
        """Whether this process writes the results."""
        return self.rank == 0

    def share(self, batch_size: int) -> int:
        """Return the rows of a step that fall to each process.

        Raise ConfigurationError if they do not divide.
        """
        if batch_size % self.size:
            raise ConfigurationError(
                f"--batch-size {batch_size} does not divide among {self.size} processes; "
                f"give a multiple of {self.size}"
            )
        return batch_size // self.size


def fully_sharded() -> bool:
    """Tell whether accelerate is to share weights and optimizer out among the processes."""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() in {"1", "true", "yes"}


def require_packages(report_to: str, *, adapters: bool) -> None:
    """Refuse a job whose packages are not installed, before it begins.

    Raise MissingExtraError if torch, transformers, accelerate, or peft for adapters, is missing.
    Raise ConfigurationError if the package that reports are sent to is missing.
    """
    for package in ("torch", "transformers", "accelerate", *(("peft",) if adapters else ())):
        if find_spec(package) is None:
            raise MissingExtraError(package, "finetune", "train language models")
    package = _REPORTERS.get(report_to, "")
    if package and find_spec(package) is None:
        raise ConfigurationError(
            f"--report-to {report_to}: {package} is not installed: pip install {package}, "
            "or give --report-to none"
        )


def choose_device(wanted: str) -> str:
    """Return ``cpu`` or ``cuda``, without importing torch where no GPU can be.

    Raise ConfigurationError if CUDA is asked for and there is none.
    """
    if wanted == "cpu":
        return "cpu"
    if wanted.startswith("cuda:"):
        # torch counts the devices once, when it is first asked; so this comes before.
        os.environ["CUDA_VISIBLE_DEVICES"] = wanted.removeprefix("cuda:")
    if any(Path(file).exists() for file in _GPU_FILES):
        import torch

        if torch.cuda.is_available():
            return "cuda"
    if wanted == "auto":
        return "cpu"
    raise ConfigurationError(
        f"--device {wanted}: no CUDA device is to be seen here; give --device cpu"
    )


def choose_precision(wanted: Precision | None, device: str) -> Precision:
    """Return the precision a job runs in.

    Raise ConfigurationError if the device cannot compute so.
    """
    if device == "cpu":
        if wanted == "fp16":
            raise ConfigurationError(
                "--precision fp16 needs a GPU: its loss scaling is made for CUDA; give fp32 or bf16"
            )
        return wanted or "fp32"
    import torch

    bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    if wanted == "bf16" and not bf16:
        raise ConfigurationError("--precision bf16: this GPU has no bfloat16; give fp16 or fp32")
    return wanted or ("bf16" if bf16 else "fp32")


def free_on(device: str, world: ProcessGroup) -> int:
    """Return the bytes a process may take on its device."""
    if device == "cpu":
        return free_memory() // world.local_size
    import torch

    free, _ = torch.cuda.mem_get_info(int(os.environ.get("LOCAL_RANK", "0")))
    return int(free)
