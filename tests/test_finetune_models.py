"""Models by name, file and folder: their sizes, what of them is trained, what cannot be."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from llm_pv.errors import ConfigurationError
from llm_pv.tracks.finetune.architectures import PUBLIC, TINY, architecture
from llm_pv.tracks.finetune.memory import (
    GIB,
    Load,
    adapter_parameters,
    decoder_load,
    decoder_size,
    fitted,
)
from llm_pv.tracks.finetune.request import Job, JobContext, ModelRequest, TrainingRequest
from llm_pv.tracks.finetune.rows import TaskRows

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")

PUBLISHED_TOTALS = {
    # Parameters of the published checkpoints: vocabulary, whether it is tied to the output, total.
    "qwen0.6B": (151_936, 1, 596_049_920),
    "qwen1.7B": (151_936, 1, 1_720_574_976),
    "llama3": (128_256, 1, 1_235_814_400),
    "deepseek": (32_256, 2, 1_346_471_936),
}


@pytest.mark.parametrize("name", PUBLISHED_TOTALS)
def test_dimensions_give_the_published_parameter_counts(name: str) -> None:
    vocabulary, tables, total = PUBLISHED_TOTALS[name]
    size = decoder_size(PUBLIC[name][1], vocabulary, 0)
    assert size is not None
    assert size.total + (tables - 1) * size.embedding == total


def built(config: Any, *, vocabulary: int = 7, classes: int = 3) -> Any:
    from llm_pv.tracks.finetune.batches import CharacterTokens
    from llm_pv.tracks.finetune.building import from_scratch

    tokens = CharacterTokens("0123456789"[: vocabulary - 3], vocabulary)
    return from_scratch(config, tokens, classes=classes, positions=9, seed=1)


SMALL: dict[str, dict[str, Any]] = {
    "llama": {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False},
    "qwen2": {"num_key_value_heads": 2},
    "mistral": {"head_dim": 8, "num_key_value_heads": 1},
    "qwen3": {"head_dim": 24, "num_key_value_heads": 2},
}


@pytest.mark.parametrize("family", SMALL)
def test_counted_parameters_are_those_of_the_built_model(family: str) -> None:
    config = {"model_type": family, "hidden_size": 32, "intermediate_size": 80,
              "num_hidden_layers": 3, "num_attention_heads": 4, **SMALL[family]}  # fmt: skip
    model = built(config)
    size = decoder_size(config, 7, 3)
    assert size is not None
    assert size.total == sum(parameter.numel() for parameter in model.parameters())


def test_sizes_a_configuration_leaves_open_are_not_guessed() -> None:
    config = {"model_type": "qwen3", "hidden_size": 32, "intermediate_size": 80,
              "num_hidden_layers": 3, "num_attention_heads": 32}  # fmt: skip
    assert decoder_size(config, 7, 3) is None
    from llm_pv.tracks.finetune.building import count_parameters

    built_there = sum(parameter.numel() for parameter in built(config).parameters())
    assert count_parameters(config, vocabulary=7, classes=3, positions=9) == built_there


@pytest.mark.parametrize("half", [False, True])
def test_estimated_activations_hold_what_the_backward_pass_keeps(*, half: bool) -> None:
    config = {**TINY, "hidden_size": 128, "intermediate_size": 384, "head_dim": 32}
    model = built(config)
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, Any] = {}

    def keep(tensor: Any) -> Any:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    rows, length = 16, 9
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=half),
    ):
        model(input_ids=torch.full((rows, length), 3), labels=torch.zeros(rows, dtype=torch.long))
    measured = sum(
        tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in weights
    )
    estimate = decoder_load(config, parameters=0, trained=0, trained_layers=None,
                            tokens=rows * length, half=half).activations  # fmt: skip
    if half:
        measured -= 2 * decoder_size(config, 0, 0).total  # type: ignore[union-attr]
    assert 0.8 < estimate / measured < 2.0


def test_memory_has_weights_gradients_and_both_moments_in_full_precision() -> None:
    load = Load(parameters=1_000, trained=600, tokens=10, kept_a_token=50, layer_a_token=20,
                hidden=4, layers=3, half=False)  # fmt: skip
    assert (load.weights, load.gradients, load.optimizer, load.activations) == (
        4_000, 2_400, 4_800, 2_000,
    )  # fmt: skip


def test_checkpointing_is_taken_only_where_memory_asks_for_it() -> None:
    load = Load(parameters=10**9, trained=10**9, tokens=10**6, kept_a_token=5_000,
                layer_a_token=500, hidden=50, layers=10, half=False)  # fmt: skip

    def fit(gib: int, how: str) -> Load:
        return fitted(load, gib * GIB, name="m", device="this machine", checkpointing=how)

    assert not fit(100, "auto").checkpointing
    assert fit(25, "auto").checkpointing
    assert fit(100, "on").checkpointing
    with pytest.raises(ConfigurationError, match=r"will not fit.* and 25\.0 GiB are free"):
        fit(25, "off")
    with pytest.raises(ConfigurationError, match=r"weights 3\.7, gradients 3\.7, AdamW 7\.5"):
        fit(10, "auto")


def asked(tmp_path: Path, model: ModelRequest, **rows: Any) -> Job:
    values: dict[str, Any] = {
        "function": "first_character",
        "length": 8,
        "train_size": 20,
        "test_size": 20,
    } | rows
    training = TrainingRequest(batch_size=10, epochs=1, learning_rate=1e-3)
    around = JobContext(tmp_path / "run", device="cpu", report_to="none")
    return Job(model, TaskRows(**values), training, around)


def run(tmp_path: Path, model: ModelRequest, **rows: Any) -> dict[str, Any]:
    from llm_pv.tracks.finetune.job import run_job

    return run_job(asked(tmp_path, model, **rows))


def test_a_model_that_does_not_fit_is_refused_before_torch_builds_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm_pv.tracks.finetune import preparation

    monkeypatch.setattr(preparation, "free_on", lambda *_: 20 * GIB)
    with pytest.raises(ConfigurationError, match=r"qwen1\.7B will not fit: training takes about"):
        run(tmp_path, ModelRequest("qwen1.7B"))
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="session")
def pretrained_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_models import random_model

    return random_model(tmp_path_factory.mktemp("pretrained"))


def test_a_pretrained_folder_is_tuned_with_its_own_tokenizer(
    tmp_path: Path, pretrained_folder: Path
) -> None:
    measured = run(tmp_path, ModelRequest(f"hf:{pretrained_folder}"))
    assert measured["parameters"] == measured["trained_parameters"]
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["weights"]
    assert "fine-tune" in (tmp_path / "run" / "summary.csv").read_text()


@pytest.mark.parametrize("layers", [0, 1])
def test_top_layers_the_last_norm_and_the_head_alone_are_trained(layers: int) -> None:
    from llm_pv.tracks.finetune.building import choose_parameters

    model = choose_parameters(built(TINY), ModelRequest("tiny", layers=layers))
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {"score.weight", "model.norm.weight"} <= trained
    assert any(name.startswith("model.layers.1.") for name in trained) == bool(layers)
    assert not any(name.startswith(("model.layers.0.", "model.embed")) for name in trained)
    size = decoder_size(TINY, 7, 3)
    assert size is not None
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert count == size.trained(layers)


SMALL_BERT = {"model_type": "bert", "hidden_size": 32, "intermediate_size": 64,
              "num_hidden_layers": 2, "num_attention_heads": 2}  # fmt: skip


def test_norms_of_embeddings_are_frozen_with_them() -> None:
    from llm_pv.tracks.finetune.building import choose_parameters

    model = choose_parameters(built(SMALL_BERT), ModelRequest("bert", layers=1))
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert not any("embeddings" in name or "layer.0." in name for name in trained)
    assert {"classifier.weight", "bert.pooler.dense.weight"} <= trained
    assert any(".layer.1." in name for name in trained)


def test_a_family_that_counts_positions_from_the_padding_token_is_trained(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps({**SMALL_BERT, "model_type": "roberta"}))
    assert run(tmp_path, ModelRequest("r", config_file=path))["test_rows"] == 20


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "t5", "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2},
        {"model_type": "bart", "d_model": 16, "encoder_layers": 1, "decoder_layers": 1,
         "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32,
         "decoder_ffn_dim": 32},
        {**TINY, "rms_norm_eps": "x"},
        {**TINY, "attention_dropout": 5},
    ],
    ids=["t5", "bart", "text for a number", "dropout of 5"],
)  # fmt: skip
def test_configurations_that_cannot_be_trained_are_one_line(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps(config))
    with pytest.raises(
        ConfigurationError, match=f"cannot build a {config['model_type']} model"
    ) as caught:
        run(tmp_path, ModelRequest("c", config_file=path))
    assert "\n" not in str(caught.value)


def test_weights_shared_out_among_processes_need_less_memory_in_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm_pv.tracks.finetune.preparation import ProcessGroup, prepare

    job, world = asked(tmp_path, ModelRequest("tiny")), ProcessGroup(0, 2, 2)
    whole = prepare(job, world).load
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    part = prepare(job, world).load
    assert (part.weights, part.optimizer) == (whole.weights / 2, whole.optimizer / 2)
    assert part.activations == whole.activations


def test_frozen_parameters_stay_and_trained_ones_move(tmp_path: Path) -> None:
    from llm_pv.tracks.finetune.batches import CharacterTokens
    from llm_pv.tracks.finetune.building import from_scratch
    from llm_pv.tracks.finetune.job import run_job

    job = asked(tmp_path, ModelRequest("tiny", layers=1))
    around = JobContext(tmp_path / "run", device="cpu", report_to="none", save_model=True)
    run_job(Job(job.model, job.rows, job.training, around))
    from safetensors.torch import load_file

    after = load_file(tmp_path / "run" / "model" / "model.safetensors")
    before = from_scratch(TINY, CharacterTokens("01", 5), classes=2, positions=9, seed=42)
    moved = {name for name, p in before.named_parameters() if not torch.equal(p, after[name])}
    assert "score.weight" in moved
    assert not any(name.startswith(("model.layers.0.", "model.embed")) for name in moved)
    assert json.loads((tmp_path / "run" / "model" / "alphabet.json").read_text()) == {
        "alphabet": "01"
    }


def test_adapters_are_counted_trained_and_recorded(tmp_path: Path) -> None:
    measured = run(tmp_path, ModelRequest("tiny", lora_rank=4))
    assert measured["trained_parameters"] == adapter_parameters(TINY, 4, 2)
    assert ",lora,tiny," in (tmp_path / "run" / "summary.csv").read_text()


def test_a_configuration_file_of_another_family_is_built_and_trained(tmp_path: Path) -> None:
    path = tmp_path / "small.json"
    path.write_text(json.dumps({"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 2,
                                "vocab_size": 50_257, "n_positions": 1024}))  # fmt: skip
    measured = run(tmp_path, ModelRequest("small", config_file=path, layers=1))
    # Of two equal layers one is trained, with the last norm and the head.
    assert 0 < measured["trained_parameters"] < measured["parameters"] < 40_000
    assert measured["test_rows"] == 20


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"model": "qwen2B"}, "no model 'qwen2B': did you mean qwen1.7B"),
        ({"model": "gpt-5.4"}, r"choose tiny, qwen0\.6B"),
        ({"model": "hf:"}, "names nothing"),
        ({"model": "hf:./nowhere"}, "there is no folder ./nowhere"),
        ({"model": "tiny", "layers": 3}, "is 3, tiny has 2 layers"),
        ({"model": "tiny", "layers": 1, "lora_rank": 2}, "give one of them"),
        ({"model": "tiny", "lora_rank": 0}, "lora_rank is 0; give 1 or more"),
        ({"model": "qwen3_finetune", "vocab_size": 9}, "brings its own vocabulary"),
        ({"model": "qwen3_finetune", "context_length": 9}, "brings its own positions"),
    ],
)
def test_models_that_cannot_be_are_refused_in_one_line(model: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ModelRequest(**model).architecture()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "cannot be read as a model's config.json"),
        ("[]", "names no model_type"),
        ({"hidden_size": 64}, "names no model_type"),
        ({"model_type": "llama", "hidden_size": 65, "num_attention_heads": 4},
         "hidden_size 65 is no multiple of num_attention_heads 4"),
        ({"model_type": "llama", "num_attention_heads": 4, "num_key_value_heads": 3},
         "num_attention_heads 4 is no multiple of num_key_value_heads 3"),
        ({"model_type": "llama", "hidden_size": "big"}, "hidden_size is 'big'"),
        ({"model_type": "llama", "hidden_size": 20, "num_attention_heads": 4}, "give an even"),
    ],
)  # fmt: skip
def test_configuration_files_that_cannot_be_are_refused(
    tmp_path: Path, config: Any, message: str
) -> None:
    path = tmp_path / "config.json"
    path.write_text(config if isinstance(config, str) else json.dumps(config))
    with pytest.raises(ConfigurationError, match=message):
        architecture("mine", path)


@pytest.mark.parametrize("problem", ["regression", "multi_label_classification"])
def test_classes_are_told_apart_whatever_problem_a_configuration_names(
    tmp_path: Path, pretrained_folder: Path, problem: str
) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({**TINY, "problem_type": problem}))
    assert run(tmp_path / "scratch", ModelRequest("c", config_file=path))["test_rows"] == 20
    folder = tmp_path / "folder"
    shutil.copytree(pretrained_folder, folder)
    config = json.loads((folder / "config.json").read_text()) | {"problem_type": problem}
    (folder / "config.json").write_text(json.dumps(config))
    assert run(tmp_path / "tuned", ModelRequest(f"hf:{folder}"))["test_rows"] == 20


def test_a_family_transformers_does_not_know_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"model_type": "lama"}')
    with pytest.raises(ConfigurationError, match="knows no model_type 'lama'; did you mean llama"):
        run(tmp_path, ModelRequest("mine", config_file=path))


def test_a_hub_name_out_of_reach_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm_pv.models import hub

    monkeypatch.setattr(hub, "_hub_answers", lambda: False)
    with pytest.raises(ConfigurationError, match="the hub cannot be reached") as caught:
        run(tmp_path, ModelRequest("hf:nobody/no-such-model"))
    assert "\n" not in str(caught.value)


def test_inputs_longer_than_the_context_are_refused_before_anything_is_built(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigurationError, match=r"has 17 tokens .* --context-length is 9"):
        run(tmp_path, ModelRequest("tiny", context_length=9), test_lengths=(16,))
    assert run(tmp_path, ModelRequest("tiny", context_length=17), test_lengths=(16,))[
        "other_length"
    ]


def test_a_vocabulary_too_small_for_the_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--vocab-size is 4, but 2 characters .* make 5"):
        run(tmp_path, ModelRequest("tiny", vocab_size=4))


def test_inputs_longer_than_a_pretrained_context_are_refused(
    tmp_path: Path, pretrained_folder: Path
) -> None:
    folder = tmp_path / "short"
    folder.mkdir()
    for file in pretrained_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text()) | {"max_position_embeddings": 6}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigurationError, match="the longest input has 8 tokens and the model 6"):
        run(tmp_path, ModelRequest(f"hf:{folder}"))


def test_a_pretrained_model_may_read_symbols_separated_by_spaces(pretrained_folder: Path) -> None:
    from llm_pv.tracks.finetune.building import pretrained

    _, contiguous = pretrained(str(pretrained_folder), classes=2, seed=1)
    _, spaced = pretrained(str(pretrained_folder), classes=2, seed=1, spaced=True)
    (written,) = contiguous.encode(["0 1 1"])
    (read,) = spaced.encode(["011"])
    assert read.tolist() == written.tolist() != contiguous.encode(["011"])[0].tolist()
