import math

import numpy as np
import pytest
import torch
from train_corpora import TINY

from datatools.errors import ConfigError
from datatools.train.model import (
    SIZES,
    Decoder,
    ModelConfig,
    RewardModel,
    new_decoder,
    pick_device,
    resolve_size,
)

CPU = torch.device("cpu")


def _tokens(rows, length, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(3, TINY.vocabulary, (rows, length), generator=generator)


@pytest.mark.parametrize("size", ["smoke", "nano", "micro"])
def test_the_parameter_count_is_that_of_the_tensors(size):
    decoder = Decoder(SIZES[size])
    assert SIZES[size].parameters == sum(weight.numel() for weight in decoder.parameters())


def _slow_forward(decoder, tokens):
    """Qwen3 in float64 numpy, one position, head and pair of coordinates at a time."""
    w = {name: p.detach().double().numpy() for name, p in decoder.named_parameters()}
    c = decoder.config

    def norm(x, scale):
        return x / math.sqrt((x * x).mean() + c.norm_epsilon) * scale

    def turn(x, position):
        half = c.head_width // 2
        out = x.copy()
        for i in range(half):
            angle = position / c.rope_base ** (2 * i / c.head_width)
            a, b = x[i], x[i + half]
            out[i] = a * math.cos(angle) - b * math.sin(angle)
            out[i + half] = b * math.cos(angle) + a * math.sin(angle)
        return out

    stream = [w["embed_tokens.weight"][token] for token in tokens]
    for layer in range(c.layers):
        p = f"layers.{layer}."
        normed = [norm(x, w[p + "input_layernorm.weight"]) for x in stream]
        keys, values = [], []
        for position, x in enumerate(normed):
            k = (w[p + "self_attn.k_proj.weight"] @ x).reshape(c.kv_heads, -1)
            keys.append([turn(norm(h, w[p + "self_attn.k_norm.weight"]), position) for h in k])
            values.append((w[p + "self_attn.v_proj.weight"] @ x).reshape(c.kv_heads, -1))
        for position, x in enumerate(normed):
            q = (w[p + "self_attn.q_proj.weight"] @ x).reshape(c.heads, -1)
            heads = []
            for head in range(c.heads):
                group = head // (c.heads // c.kv_heads)
                query = turn(norm(q[head], w[p + "self_attn.q_norm.weight"]), position)
                scores = np.array([query @ keys[j][group] for j in range(position + 1)])
                weight = np.exp(scores / math.sqrt(c.head_width))
                weight /= weight.sum()
                heads.append(sum(weight[j] * values[j][group] for j in range(position + 1)))
            stream[position] = stream[position] + w[p + "self_attn.o_proj.weight"] @ np.concatenate(
                heads
            )
        for position, x in enumerate(stream):
            y = norm(x, w[p + "post_attention_layernorm.weight"])
            gate = w[p + "mlp.gate_proj.weight"] @ y
            inner = gate / (1 + np.exp(-gate)) * (w[p + "mlp.up_proj.weight"] @ y)
            stream[position] = x + w[p + "mlp.down_proj.weight"] @ inner
    return np.array([w["embed_tokens.weight"] @ norm(x, w["norm.weight"]) for x in stream])


def test_logits_equal_a_slow_implementation(decoder):
    tokens = _tokens(1, 9)
    with torch.no_grad():
        fast = decoder.logits(decoder(tokens))[0].double().numpy()
    np.testing.assert_allclose(fast, _slow_forward(decoder, tokens[0].tolist()), atol=2e-5)


def test_no_position_sees_a_later_one(decoder):
    first = _tokens(1, 12)
    second = first.clone()
    second[0, 7:] = 5
    with torch.no_grad():
        a, b = decoder(first), decoder(second)
    torch.testing.assert_close(a[:, :7], b[:, :7])
    assert not torch.allclose(a[:, 7:], b[:, 7:])


def test_segments_of_a_row_do_not_see_each_other(decoder):
    """What stands before a segment in its row must not matter, rotary positions included."""
    short, long = _tokens(1, 5, seed=1), _tokens(1, 8, seed=2)
    row = torch.cat((long, short), dim=1)
    segments = torch.tensor([[1] * 8 + [2] * 5])
    with torch.no_grad():
        packed = decoder(row, segments)
        torch.testing.assert_close(packed[:, :8], decoder(long), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(packed[:, 8:], decoder(short), atol=1e-5, rtol=1e-5)


def test_padding_on_the_right_does_not_change_a_reward(decoder):
    model = RewardModel(decoder)
    with torch.no_grad():
        model.score.weight.normal_(generator=torch.Generator().manual_seed(3))
        tokens = _tokens(1, 6)
        alone = model(tokens, torch.tensor([6]))
        padded = torch.cat((tokens, _tokens(1, 4, seed=9)), dim=1)
        torch.testing.assert_close(alone, model(padded, torch.tensor([6])))
        assert not torch.allclose(alone, model(padded, torch.tensor([10])))


def test_an_untrained_reward_model_ties_on_everything(decoder):
    scores = RewardModel(decoder)(_tokens(3, 6), torch.tensor([6, 2, 4]))
    assert scores.tolist() == [0.0, 0.0, 0.0]


def test_the_seed_alone_fixes_the_first_weights():
    one, same, other = (new_decoder(TINY, seed=s, device=CPU).state_dict() for s in (5, 5, 6))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["embed_tokens.weight"], other["embed_tokens.weight"])


def test_every_block_begins_as_the_identity():
    decoder = new_decoder(TINY, seed=0, device=CPU)
    x = torch.randn(1, 4, TINY.width)
    cosine = sine = torch.zeros(4, TINY.head_width)
    for block in decoder.layers:
        assert torch.equal(block(x, cosine, sine, None), x)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kv_heads": 3}, "ModelConfig.kv_heads: must divide heads"),
        ({"head_width": 15}, "ModelConfig.head_width: must be even"),
        ({"layers": 0}, "ModelConfig.layers: must be above 0"),
    ],
)
def test_shapes_that_cannot_be_are_refused(change, said):
    with pytest.raises(ConfigError, match=said):
        ModelConfig(**(vars(TINY) | change))


def test_a_misspelt_size_is_answered_with_the_right_one():
    with pytest.raises(ConfigError, match="Did you mean 'nano'"):
        resolve_size("nanno")


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="must be auto, cpu or cuda"):
        pick_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="no CUDA device"):
            pick_device("cuda")
