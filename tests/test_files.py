"""Files written whole or not at all."""

import pytest

from sktinymyo._files import check_target_file, replaced_file, write_whole


@pytest.mark.parametrize("named", [False, True])
def test_a_failure_leaves_the_older_file_and_nothing_else(tmp_path, named):
    path = tmp_path / "model.bin"
    write_whole(path, b"old")
    draft = tmp_path / "model.bin.part" if named else None
    with pytest.raises(KeyboardInterrupt), replaced_file(path, draft) as target:
        target.write_bytes(b"half")
        raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ["model.bin"]
    assert path.read_bytes() == b"old"
    with replaced_file(path, draft) as target:
        target.write_bytes(b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["model.bin"]
    assert path.read_bytes() == b"new"


def test_targets_that_cannot_be_written_are_refused(tmp_path, monkeypatch):
    (tmp_path / "folder.bin").mkdir()
    for name, message in [
        ("model.txt", r"must end in \.bin"),
        ("nowhere/model.bin", "no folder"),
        ("folder.bin", "is a folder"),
    ]:
        with pytest.raises(ValueError, match=message):
            check_target_file(tmp_path / name, ".bin")
    # Of the administrator, as whom tests may run, every folder can be written to.
    monkeypatch.setattr("os.access", lambda folder, mode: False)
    with pytest.raises(ValueError, match="cannot be written to"):
        check_target_file(tmp_path / "model.bin", ".bin")
