"""JDLL's choice among weights."""

import pytest

from zooready.bundle.jdll import bucket, picks


def both(version, opset=17):
    return {"onnx": opset, "torchscript": version}


@pytest.mark.parametrize("version", [*(f"2.{minor}.0" for minor in range(8)), "2.9.1", "2.14.1", "2.15.0", "2.15.0+cu130"])
def test_torchscript_wins(version):
    assert picks(both(version)) == "torchscript"


@pytest.mark.parametrize("version", ["2.8.0", *(f"2.{minor}.0" for minor in range(10, 15)), "2.0"])
def test_onnx_wins(version):
    assert picks(both(version)) == "onnx"


def test_a_shared_bucket_is_a_tie_that_the_order_of_the_yaml_decides():
    assert picks(both("2.9.0")) == "tie"


def test_the_opset_changes_the_order():
    assert {picks(both("2.8.0", opset)) for opset in range(11, 19)} == {"onnx", "torchscript", "tie"}


def test_a_single_format_is_taken_and_a_state_dict_has_no_engine():
    assert picks({"onnx": 17}) == "onnx"
    assert picks({"torchscript": "2.8.0"}) == "torchscript"
    assert picks({"pytorch_state_dict": "2.8.0"}) is None
    assert picks({}) is None


def test_weights_without_a_version_stand_under_jdll_s_own_names():
    assert picks({"torchscript": None, "onnx": 17}) == picks(both("1.13.1"))
    assert bucket("onnx_vUnknown0") != bucket("onnx_v17")


def test_the_hash_is_java_s():
    # "Aa" and "BB" share String.hashCode 2112 = 0x840; "polygenelubricants" has the code -2147483648
    assert bucket("Aa") == bucket("BB") == 0
    assert bucket("polygenelubricants") == (0x80000000 ^ 0x8000) & 15
    assert bucket("a") == 97 & 15
