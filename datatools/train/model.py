"""The model: a decoder of exactly Qwen3's shape, and the sizes it comes in.

Owns: the configuration, the forward pass, initialisation and the reward head. Parameters carry the
names that Hugging Face gives them, so that saving and loading rename nothing. Refuses: anything
Qwen3 has no place for (soft-capped logits, squared ReLU, untied heads), because a trained model
must load elsewhere with equal logits.

Shapes in comments: B rows, T positions, D width, H query heads, G key-value heads, E head width,
V vocabulary.

References:
    Qwen Team, Qwen3 Technical Report, 2025, section 2. Zhang and Sennrich, Root Mean Square Layer
    Normalization, 2019. Su et al., RoFormer, 2021. Shazeer, GLU Variants Improve Transformer, 2020.
    Ainslie et al., GQA, 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from datatools.errors import ConfigError, nearest

__all__ = [
    "SIZES",
    "Decoder",
    "ModelConfig",
    "RewardModel",
    "compute_dtype",
    "new_decoder",
    "pick_device",
    "resolve_size",
]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that fixes a model's shape.

    Attributes:
        vocabulary: Number of token ids; at least the tokenizer's.
        layers: Number of blocks.
        width: Width of the residual stream.
        heads: Number of query heads.
        kv_heads: Number of key and value heads; divides `heads`.
        head_width: Width of one head, even.
        ffn_width: Inner width of the feed-forward part.
        context: Most positions the model is trained for, in tokens.
        rope_base: Base of the rotary wavelengths. Larger tells distant positions apart better.
        norm_epsilon: Added to the mean square before the root.

    Raises:
        ConfigError: A number is below 1, `kv_heads` does not divide `heads`, or `head_width` is
            odd.

    Example:
        >>> SIZES["nano"].parameters
        1328768
    """

    vocabulary: int
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    ffn_width: int
    context: int
    rope_base: float = 10_000.0
    norm_epsilon: float = 1e-6

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0:
                raise ConfigError(f"ModelConfig.{name}", "must be above 0", got=value)
        if self.heads % self.kv_heads:
            raise ConfigError(
                "ModelConfig.kv_heads", f"must divide heads ({self.heads})", got=self.kv_heads
            )
        if self.head_width % 2:
            raise ConfigError("ModelConfig.head_width", "must be even", got=self.head_width)

    @property
    def parameters(self) -> int:
        """Number of weights, the embedding counted once."""
        attention = 2 * self.width * self.head_width * (self.heads + self.kv_heads)
        block = attention + 3 * self.width * self.ffn_width + 2 * self.width + 2 * self.head_width
        return self.vocabulary * self.width + self.layers * block + self.width


def _size(
    vocabulary: int, layers: int, width: int, heads: int, ffn: int, context: int
) -> ModelConfig:
    return ModelConfig(
        vocabulary=vocabulary,
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=heads,
        head_width=width // heads,
        ffn_width=ffn,
        context=context,
    )


SIZES: Final[Mapping[str, ModelConfig]] = {
    "smoke": _size(1024, 2, 64, 2, 176, 256),
    "nano": _size(4096, 4, 128, 2, 352, 256),
    "micro": _size(8192, 6, 192, 3, 512, 512),
    "small": _size(16384, 8, 384, 6, 1024, 1024),
    "base": _size(32768, 12, 768, 12, 2048, 1024),
}
"""Sizes by name: 0.17M (tests), 1.3M (CPU), 4.2M (CPU, minutes), 20M (one GPU), 110M (several
GPUs)."""


def resolve_size(size: str | ModelConfig) -> ModelConfig:
    """Return the configuration a size names.

    Raises:
        ConfigError: No size has this name.
    """
    if isinstance(size, ModelConfig):
        return size
    if size not in SIZES:
        guess = nearest(size, SIZES)
        raise ConfigError(
            "size",
            f"is none of {', '.join(SIZES)}",
            got=size,
            hint=f"Did you mean {guess!r}?" if guess else None,
        )
    return SIZES[size]


def pick_device(device: str) -> torch.device:
    """Return the device a name means; `auto` is the first CUDA device, else the CPU.

    Raises:
        ConfigError: The device is not there, or torch knows no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.split(":")[0] not in ("cpu", "cuda"):
        raise ConfigError("device", "must be auto, cpu or cuda", got=device)
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(
            "device", "no CUDA device is visible", got=device, hint="Use device='cpu'."
        )
    return torch.device(device)


def compute_dtype(device: torch.device) -> torch.dtype:
    """Return the type activations have: bf16 on CUDA, fp32 elsewhere. Weights stay fp32."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32


# --------------------------------------------------------------------------------------------------
# Parts


class Linear(nn.Linear):
    """A linear map without bias whose fp32 weights are cast to the input's type at use."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight.to(x.dtype))


class RMSNorm(nn.Module):
    """Division by the root mean square of the last axis, computed in fp32, and a learned scale."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        scaled = functional.rms_norm(x.float(), self.weight.shape, self.weight, self.epsilon)
        return scaled.to(x.dtype)


def rotary_table(
    config: ModelConfig, positions: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return cosines and sines of every position's angles, each (T, E) in fp32."""
    even = torch.arange(0, config.head_width, 2, dtype=torch.float32)
    frequency = 1.0 / (config.rope_base ** (even / config.head_width))  # (E/2,)
    angle = torch.outer(torch.arange(positions, dtype=torch.float32), frequency)
    angle = torch.cat((angle, angle), dim=-1)  # (T, E): the halves rotate together
    return angle.cos().to(device), angle.sin().to(device)


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate each pair (x[i], x[i + E/2]) of (B, H, T, E) by its position's angle."""
    first, second = x.chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return x * cosine + turned * sine


class Attention(nn.Module):
    """Causal self-attention with normalised queries and keys and grouped key-value heads."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        queries = config.heads * config.head_width
        keys = config.kv_heads * config.head_width
        self.q_proj = Linear(config.width, queries)
        self.k_proj = Linear(config.width, keys)
        self.v_proj = Linear(config.width, keys)
        self.o_proj = Linear(queries, config.width)
        self.q_norm = RMSNorm(config.head_width, config.norm_epsilon)
        self.k_norm = RMSNorm(config.head_width, config.norm_epsilon)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor, mask: Tensor | None) -> Tensor:
        rows, positions, _ = x.shape
        shape = (rows, positions, -1, self.config.head_width)
        q = self.q_norm(self.q_proj(x).view(shape)).transpose(1, 2)  # (B, H, T, E)
        k = self.k_norm(self.k_proj(x).view(shape)).transpose(1, 2)  # (B, G, T, E)
        v = self.v_proj(x).view(shape).transpose(1, 2)  # (B, G, T, E)
        q, k = rotate(q, cosine, sine), rotate(k, cosine, sine)
        mixed = functional.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask,
            is_causal=mask is None,
            enable_gqa=self.config.kv_heads != self.config.heads,
        )
        out: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(rows, positions, -1))
        return out


class FeedForward(nn.Module):
    """SwiGLU: one projection gates another."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = Linear(config.width, config.ffn_width)
        self.up_proj = Linear(config.width, config.ffn_width)
        self.down_proj = Linear(config.ffn_width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Block(nn.Module):
    """Attention, then feed-forward, each on a normalised copy of the residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.width, config.norm_epsilon)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.width, config.norm_epsilon)
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cosine, sine, mask)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


# --------------------------------------------------------------------------------------------------
# Models


class Decoder(nn.Module):
    """A language model: token ids in, hidden states or logits out. The head is the embedding."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocabulary, config.width)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width, config.norm_epsilon)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embed_tokens.weight.device

    def forward(self, tokens: Tensor, segments: Tensor | None = None) -> Tensor:
        """Return the normalised hidden states.

        Args:
            tokens: (B, T) int64 ids below the vocabulary.
            segments: (B, T) ints or None. A position sees only earlier positions of its own
                segment. Rotary angles need no restart at a segment: only differences of positions
                count.

        Returns:
            (B, T, D) in the device's compute type.
        """
        x = self.embed_tokens(tokens).to(compute_dtype(self.device))  # (B, T, D)
        cosine, sine = rotary_table(self.config, tokens.shape[1], self.device)
        mask = None
        if segments is not None:
            same = segments[:, :, None] == segments[:, None, :]
            mask = torch.tril(same)[:, None]  # (B, 1, T, T), true where a query may look
        for block in self.layers:
            x = block(x, cosine.to(x.dtype), sine.to(x.dtype), mask)
        out: Tensor = self.norm(x)
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        """Return next-token scores (..., V) in fp32 for hidden states (..., D)."""
        return functional.linear(hidden, self.embed_tokens.weight.to(hidden.dtype)).float()


class RewardModel(nn.Module):
    """A decoder with one number read from the last token of a conversation."""

    def __init__(self, model: Decoder) -> None:
        super().__init__()
        self.model = model
        self.score = Linear(model.config.width, 1)
        nn.init.zeros_(self.score.weight)  # before training every answer scores 0: a tie
        self.to(model.device)

    @property
    def config(self) -> ModelConfig:
        """The decoder's shape."""
        return self.model.config

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return one score per row, (B,) in fp32.

        Args:
            tokens: (B, T) int64, padded on the right with any id: nothing before the last token
                sees what comes after it.
            lengths: (B,) int64, tokens in each row, at least 1.
        """
        hidden = self.model(tokens)  # (B, T, D)
        last = hidden[torch.arange(tokens.shape[0], device=tokens.device), lengths - 1]  # (B, D)
        out: Tensor = self.score(last).squeeze(-1).float()
        return out


def new_decoder(config: ModelConfig, *, seed: int, device: torch.device) -> Decoder:
    """Return a decoder with weights drawn from `seed`, the same on every device.

    Matrices are normal with standard deviation 1 / sqrt(inputs), the embedding with 10 / width but
    at least 0.02, scales are 1, and the projections back into the residual stream are 0, so that
    every block begins as the identity.

    A smaller start fails small models: on 0.4 million tokens of Korean and English, the size
    `smoke` ends at 2.45 bits per byte with this one and at 3.0 with 0.02 everywhere, because the
    first feed-forward part grows to a hundred times the embedding and drowns it.

    References:
        Radford et al., GPT-2, 2019, released code (0.02 at widths of 768 and more). Zhang et al.,
        Fixup Initialization, 2019 (blocks that begin as the identity).
    """
    decoder = Decoder(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in decoder.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                weight.zero_()
            elif name == "embed_tokens.weight":
                weight.normal_(0.0, max(10 / config.width, 0.02), generator=generator)
            elif weight.ndim == 2:
                weight.normal_(0.0, weight.shape[1] ** -0.5, generator=generator)
    return decoder.to(device)
