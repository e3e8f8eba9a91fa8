"""The faults planted in runtime."""

from __future__ import annotations

from .mutant import Mutant, faults_in

RUNTIME: list[Mutant] = [
    *faults_in(
        "runtime/raw_pixels",
        "runtime/test_mutants_runtime runtime/test_classifier",
        (
            "input zero point -128 becomes -127 in a batch",
            "lambda images: (images ^ 128).view(np.int8)",
            "lambda images: (images.astype(int) - 127).clip(-128, 127).astype(np.int8)",
        ),
    ),
    *faults_in(
        "runtime/classifier",
        "runtime/test_mutants_runtime runtime/test_classifier",
        (
            "a tie in a batch goes to the highest class",
            "scores.argmax(axis=1).tolist()",
            "(scores.shape[1] - 1 - scores[:, ::-1].argmax(axis=1)).tolist()",
        ),
        (
            "a tie of one image goes to the highest class",
            "index = int(scores.argmax())",
            "index = int(scores.size - 1 - scores.reshape(-1)[::-1].argmax())",
        ),
        (
            "probabilities are normalised over the images",
            "np.float32(self.scale)\n        total = values.sum(axis=-1",
            "np.float32(self.scale)\n        total = values.sum(axis=0",
        ),
        (
            "the output zero point is not taken off",
            "(values - np.float32(self.zero_point))",
            "(values - np.float32(0))",
        ),
        (
            "the fast confidence forgets that int8 begins at -128",
            "bytes((code - lowest) & 255 for",
            "bytes(code & 255 for",
        ),
        (
            "logits are taken for probabilities",
            'if self.kind != "probabilities":',
            'if self.kind == "unknown":',
        ),
        (
            "more labels than outputs are accepted",
            'if len(card["labels"]) != classes:',
            'if len(card["labels"]) < classes:',
        ),
        ("threads share one engine call", "call = idle.pop()", "call = idle[0]"),
        ("threads share the batch interpreter", "with self._batch_lock:", "if True:"),
        (
            "float images are guessed, not refused",
            "if images.dtype != np.uint8:",
            "if images.dtype == object:",
        ),
    ),
    *faults_in(
        "runtime/tflite_engine",
        "runtime/test_classifier",
        (
            "input zero point of one image is off by one bit",
            "np.array(128, np.uint8)",
            "np.array(129, np.uint8)",
        ),
        (
            "the last image of a batch's remainder is left out",
            "in range(whole, len(shaped)):",
            "in range(whole, len(shaped) - 1):",
        ),
        (
            "each batch answers the first images again",
            "shaped[start : start + BATCH]",
            "shaped[0:BATCH]",
        ),
    ),
    *faults_in(
        "runtime/card_schema",
        "runtime/test_card runtime/test_selftest runtime/test_verify",
        (
            "the weights' hash is not compared",
            'card["hashes"]["weights"] == weights',
            'card["hashes"]["weights"] != ""',
        ),
        (
            "the hash of the golden vectors is not compared",
            "told == hashlib.sha256(golden).hexdigest()",
            'told != ""',
        ),
        ("a card of the next schema is read", "schema > CARD_SCHEMA:", "schema > CARD_SCHEMA + 1:"),
        (
            "a card without labels is taken",
            '    "labels": labels,\n',
            "",
        ),
    ),
    *faults_in(
        "runtime/card",
        "runtime/test_card",
        (
            "a file that lost the end of its card passes for one without",
            "if CARD_FILE.encode() in content or ",
            "if ",
        ),
        (
            "a file that lost all but the start of its card passes for one without",
            ' or b"PK\\x03\\x04" in content[-_BEFORE_CARD:]',
            "",
        ),
        ("labels.txt is not checked", "{CARD_FILE, LABELS_FILE, ", "{CARD_FILE, "),
        ("the hash beside an ONNX card is not compared", "if digest and digest", "if not digest"),
        (
            "the hash takes in the card itself",
            "_ONNX_METADATA_FIELD = 14",
            "_ONNX_METADATA_FIELD = 15",
        ),
    ),
    *faults_in(
        "runtime/card",
        "runtime/test_card export/test_export",
        (
            "an artifact carries the time of its export",
            "_EPOCH = (1980, 1, 1, 0, 0, 0)",
            '_EPOCH = __import__("time").localtime()[:6]',
        ),
        retrains=True,
    ),
    *faults_in(
        "runtime/agreement",
        "runtime/test_agreement runtime/test_mutants_runtime",
        (
            "lost counts the won",
            "lost = int(np.sum(float_right & ~artifact_right))",
            "lost = int(np.sum(~float_right & artifact_right))",
        ),
        (
            "McNemar's tail lacks its last term",
            "range(min(lost, won) + 1)",
            "range(min(lost, won))",
        ),
        ("McNemar is one-sided", "min(1.0, 2 * tail / 2", "min(1.0, tail / 2"),
        ("Wilson's half width", "z * z / (4 * n * n))", "z * z / (4 * n))"),
        ("Wilson's centre", "centre = p + z * z / (2 * n)", "centre = p + z * z / n"),
        ("Newcombe without its continuity correction", "covariance - n / 2", "covariance"),
        (
            "Newcombe's lower limit takes the upper one's margins",
            "_joined(p1 - low_1, high_2 - p2, phi)",
            "_joined(high_1 - p1, p2 - low_2, phi)",
        ),
        (
            "the one-sided bound is the two-sided one",
            "n=n, z=Z95_ONE_SIDED)",
            "n=n, z=Z95)",
        ),
        (
            "changed counts only the flips",
            "changed=int(np.sum(float_index != artifact_index))",
            "changed=lost + won",
        ),
    ),
    *faults_in(
        "runtime/dataset",
        "runtime/test_dataset",
        ("the split is not seeded", "default_rng(seed)", "default_rng()"),
        (
            "the split takes the same count from every class",
            "shares = counts * validation_count / n",
            "shares = np.full(len(counts), validation_count / len(counts))",
        ),
        (
            "the split takes the first images of a class",
            "generator.permutation(np.flatnonzero(labels == c))[:k]",
            "np.flatnonzero(labels == c)[:k]",
        ),
        (
            "other data with the run's name is taken for the run's",
            "if {f.name: f.sha256 for f in dataset.files} == wanted:",
            "if {f.name for f in dataset.files} == set(wanted):",
        ),
    ),
    *faults_in(
        "runtime/array_files",
        "runtime/test_dataset",
        (
            "an IDX file may be too long",
            "if len(content) != expected:",
            "if len(content) < expected:",
        ),
    ),
    *faults_in(
        "runtime/picture",
        "runtime/test_picture",
        (
            "transparency ignores the inversion",
            'under = 255 - background if invert == "yes" else background',
            "under = background",
        ),
        ("a picture is not inverted", "gray = ImageOps.invert(gray)", "gray = gray.copy()"),
        ("an array is not inverted", '~images if invert == "yes" else images', "images"),
        ("EXIF orientation is ignored", "ImageOps.exif_transpose(opened)", "opened.copy()"),
        ("pixels are picked, not averaged", "Image.Resampling.LANCZOS", "Image.Resampling.NEAREST"),
        ("padding is bright", "color=background,", "color=255 - background,"),
        ("16-bit gray keeps its low bits", ".astype(np.int64) >> 8)", ".astype(np.int64) & 255)"),
        ("a bright border goes unsaid", "> 127:", "> 255:"),
    ),
    *faults_in(
        "runtime/writing",
        "runtime/test_writing",
        (
            "a file is written in place",
            "draft.replace(path)",
            "path.write_bytes(contents[path])",
        ),
        ("another content is overwritten unasked", "path.exists() and not overwrite:", "False:"),
        ("a temporary file stays behind", "draft.unlink()", "pass"),
        ("only the first of two files is written", "in contents if _d", "in [*contents][:1] if _d"),
    ),
    *faults_in(
        "runtime/engines",
        "runtime/test_engines",
        ("an engine counts when it imports", "        _answers(session)\n", ""),
    ),
    *faults_in(
        "runtime/run_folder",
        "runtime/test_writing",
        ("the newest run is the oldest", "newest = max(records", "newest = min(records"),
    ),
    *faults_in(
        "runtime/cli",
        "runtime/test_writing runtime/test_profile end_to_end/test_commands",
        ("a refusal exits with 1", "return error.exit_code", "return 1"),
        ("Ctrl-C exits with 2", "return 130", "return 2"),
    ),
    *faults_in(
        "runtime/cli_classify",
        "end_to_end/test_commands",
        ("--top ranks ties backwards", "(-row[k], k)", "(-row[k], -k)"),
        (
            "the model by default is not the int8 one",
            'not p.stem.endswith("-int8")',
            'p.stem.endswith("-int8")',
        ),
    ),
    *faults_in(
        "runtime/parts",
        "runtime/test_own_data",
        ("the header is not hashed", "hashlib.sha256(header)", "hashlib.sha256()"),
        ("one image in eight is test", "TEST_ONE_IN = 7", "TEST_ONE_IN = 8"),
        (
            "test is taken by place, not by content",
            "members[hashes[members] <= last]",
            "members[: max(1, round(len(members) / TEST_ONE_IN))]",
        ),
        ("copies in test are not seen", "key in seen for key", "False for key"),
        ("any name will do", "if not label.strip() or not label.isprintable()", "if False"),
    ),
    *faults_in(
        "runtime/picture_folder",
        "runtime/test_own_data",
        ("strict skips too", 'if skipped and strict == "yes":', "if False:"),
        ("folders alike but for case are two classes", "name.casefold()", "name"),
        ("one picture in two formats counts twice", "if other != path:", "if False:"),
        ("a class without pictures is kept", "    if not empty:\n", "    if True:\n"),
        ("a class of test that train lacks is read", "    if unknown:\n", "    if False:\n"),
        (
            "the background of pictures is dark",
            "background=background)\n    # One",
            "background=0)\n    # One",
        ),
        (
            "an accent apart makes another class",
            'normalize("NFC", folder.name)',
            'normalize("NFD", folder.name)',
        ),
        ("a missing Pillow is not said", 'find_spec("PIL") is None', 'find_spec("PIL") == 0'),
    ),
    *faults_in(
        "runtime/engines",
        "runtime/test_engines",
        (
            "a float file is opened by the reference engine",
            "precision in engine.precisions\n",
            "True\n",
        ),
    ),
    *faults_in(
        "runtime/idx_folder",
        "runtime/test_own_data runtime/test_dataset train/test_own_data",
        ("a list of no names is taken", "    if not names:\n", "    if False:\n"),
        (
            "labels.txt goes before the names given",
            "labels = given or read_labels(path)",
            "labels = read_labels(path)",
        ),
        ("too few names are taken", "if len(labels) <= highest:", "if False:"),
    ),
    *faults_in(
        "runtime/picture",
        "runtime/test_picture",
        (
            "damaged EXIF data hide a picture",
            "except Exception:  # Pillow raises",
            "except KeyError:  # Pillow raises",
        ),
    ),
    *faults_in(
        "runtime/npz_file",
        "runtime/test_own_data",
        (
            "a bomb is unpacked",
            "if sum(entry.file_size for entry in entries) > MAX_BYTES:",
            "if False:",
        ),
        ("float images are taken", "images.dtype != np.uint8 or", ""),
        ("negative classes are taken", "labels.min() < 0 or", ""),
    ),
    *faults_in(
        "runtime/dataset",
        "runtime/test_own_data runtime/test_dataset",
        (
            "other data is taken for the run's",
            "if {f.name: f.sha256 for f in dataset.files} == wanted:",
            "if wanted:",
        ),
        ("pictures are read at another size again", 'if pictures and "size" in record', "if False"),
    ),
    *faults_in(
        "runtime/onnx_engine",
        "export/test_ladder",
        (
            "a mixed artifact is run one image at a time",
            'in ("float32", "int8", "mixed")',
            'in ("float32", "int8")',
        ),
    ),
    *faults_in(
        "runtime/golden",
        "runtime/test_golden",
        ("vectors may unpack to anything", "> MOST_BYTES:", "> 1 << 40:"),
        ("a gate of no image passes", "if not gate.any() or ", "if "),
    ),
    *faults_in(
        "runtime/golden_check",
        "runtime/test_golden runtime/test_selftest",
        (
            "the tolerance itself is too much",
            "largest <= tolerance else",
            "largest < tolerance else",
        ),
        ("close calls decide", "if tolerance == 0 else golden.gate", "if True else golden.gate"),
        (
            "close calls never decide",
            "if tolerance == 0 else golden.gate",
            "if False else golden.gate",
        ),
        (
            "what is no number is equal",
            "apart[np.isnan(apart)] = np.inf",
            "apart[np.isnan(apart)] = 0",
        ),
        ("differences of int8 wrap", "scores.astype(np.float64) - golden", "scores - golden"),
        (
            "reference must equal what another engine answered",
            'engine == REFERENCE == told["engine"].partition(" ")[0]',
            "engine == REFERENCE",
        ),
        ("reference has a tolerance", "tolerance = 0.0  #", "pass  #"),
        ("recorded answers are left unused", 'told["recorded"]\n', "None\n"),
        ("another version is held to them", 'f"{engine} {engine_version}"', 'own["engine"]'),
        ("vectors may have another size", "if size != session.input_shape:", "if False:"),
        (
            "what an engine raises gets through",
            "except Exception as error:",
            "except KeyError as error:",
        ),
        ("infinity stands in the JSON", "largest if math.isfinite(largest) else None", "largest"),
    ),
    *faults_in(
        "runtime/engines",
        "runtime/test_selftest",
        (
            "auto takes an engine that answers otherwise",
            "            _passes(artifact, session, candidate.name)\n",
            "",
        ),
    ),
    *faults_in(
        "runtime/selftest",
        "runtime/test_selftest",
        (
            "an engine that differs has passed",
            "self.check is None or self.check.verdict == DIFFERS",
            "self.check is None",
        ),
        ("one engine that passes is enough", "not any(one.failed", "not all(one.failed"),
        ("absent engines are not told", 'if engine == "all" else (),', "if False else (),"),
    ),
    *faults_in(
        "runtime/cli_selftest",
        "runtime/test_selftest",
        ("a failed self-test exits with 0", "return 0 if found.passed else 1", "return 0"),
    ),
    *faults_in(
        "runtime/cli_inspect",
        "runtime/test_verify",
        ("a newer card is called altered", "    except NewerSchema:\n        raise\n", ""),
        ("any file is verified", "    format_of(args.artifact)\n", ""),
        ("an altered file exits with 2", "hint=error.hint, exit_code=1)", "hint=error.hint)"),
    ),
    *faults_in(
        "runtime/calibration_error",
        "runtime/test_calibration_error",
        ("a bin has its lower edge", 'side="left"', 'side="right"'),
        ("the error is signed", "np.abs(gaps).sum()", "gaps.sum()"),
    ),
]
