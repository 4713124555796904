"""The service's answers: the same records as elsewhere, problems for whatever cannot be answered."""

from __future__ import annotations

import base64
import json
import threading
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from tests.service.conftest import Serve, picture

import mien
from mien.errors import ModelError, UsageError
from mien.service import Settings, create_app, schemas
from mien.service.state import State

MIB = 1 << 20


def files(*photos: tuple[str, bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("photos", photo) for photo in photos]


def in_json(*photos: tuple[str | None, bytes]) -> dict[str, Any]:
    return {"photos": [{"name": name, "data": base64.b64encode(data).decode()} for name, data in photos]}


def problem(answer: Any, status: int, kind: str) -> dict[str, Any]:
    """The problem an answer tells, checked for its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    record: dict[str, Any] = answer.json()
    schemas.ProblemRecord.model_validate(record)
    assert record["type"] == f"urn:mien:problem:{kind}"
    assert record["status"] == status
    return record


class TestPredict:
    def test_the_record_is_that_of_the_analyzer(self, client: TestClient, tiny_bundle: Path) -> None:
        answer = client.post("/v1/predict", files=files(("a.png", picture(77))))
        assert answer.status_code == 200
        record = answer.json()
        schemas.Predictions.model_validate(record)
        photo = mien.load(str(tiny_bundle), detector="whole", threads=1)(picture(77))
        assert record["photos"] == [photo.to_dict() | {"source": "a.png"}]
        assert answer.headers["cache-control"] == "no-store"

    def test_json_answers_as_multipart_does(self, client: TestClient) -> None:
        sent = [("a.png", picture(10)), ("b.jpg", picture(200, "JPEG"))]
        assert (
            client.post("/v1/predict", json=in_json(*sent)).json()
            == client.post("/v1/predict", files=files(*sent)).json()
        )

    def test_a_part_without_a_file_name_is_a_photo_too(self, client: TestClient) -> None:
        body = b'--x\r\nContent-Disposition: form-data; name="photos"\r\n\r\n' + picture(99) + b"\r\n--x--\r\n"
        answer = client.post("/v1/predict", content=body, headers={"content-type": "multipart/form-data; boundary=x"})
        assert (
            answer.json()["photos"]
            == client.post("/v1/predict", files=files(("photo-1", picture(99)))).json()["photos"]
        )

    def test_photos_keep_their_order_and_names(self, client: TestClient) -> None:
        sent = [(f"{level}.png", picture(level)) for level in range(200, 40, -10)]
        photos = client.post("/v1/predict", files=files(*sent)).json()["photos"]
        assert [photo["source"] for photo in photos] == [name for name, _ in sent]
        years = [photo["faces"][0]["age"]["years"] for photo in photos]
        assert years == sorted(years, reverse=True)

    def test_wishes(self, client: TestClient) -> None:
        def ask(**wishes: Any) -> Any:
            return client.post("/v1/predict", params=wishes, files=files(("a.png", picture()))).json()["photos"][0]

        plain = ask()["faces"][0]
        assert "pmf" not in plain["age"]
        full = ask(pmf=True, level=0.5, abstain=0.9)["faces"][0]
        assert sum(full["age"]["pmf"]) == pytest.approx(1, abs=1e-3)
        assert full["age"]["level"] == 0.5
        assert full["age"]["high"] - full["age"]["low"] < plain["age"]["high"] - plain["age"]["low"]
        assert full["gender"]["label"] == "uncertain"

    def test_a_bad_photo_does_not_stop_the_others(self, client: TestClient) -> None:
        answer = client.post("/v1/predict", files=files(("no.txt", b"hello"), ("a.png", picture()), ("e.png", b"")))
        assert answer.status_code == 200
        bad, good, empty = answer.json()["photos"]
        assert bad["error"]["kind"] == "not_an_image"
        assert good["error"] is None
        assert good["faces"]
        assert empty["error"]["kind"] == "empty"

    def test_a_photo_without_a_face_is_well(self, serve: Serve) -> None:
        client = serve(detector="haar")
        photo = client.post("/v1/predict", files=files(("a.png", picture()))).json()["photos"][0]
        assert (photo["faces"], photo["error"]) == ([], None)

    def test_real_faces_are_found_largest_first(self, serve: Serve, examples: Path) -> None:
        hopper = Image.open(examples / "hopper.jpg").convert("RGB")
        pair = Image.new("RGB", (hopper.width * 2, hopper.height))
        pair.paste(hopper.resize((hopper.width * 2 // 3, hopper.height * 2 // 3)), (0, 0))
        pair.paste(hopper, (hopper.width, 0))
        stream = BytesIO()
        pair.save(stream, "JPEG")
        client = serve(models=("mien-m",), detector="mtcnn")
        (photo,) = client.post("/v1/predict", files=files(("pair.jpg", stream.getvalue()))).json()["photos"]
        assert len(photo["faces"]) == 2
        assert photo["faces"][0]["box"]["left"] > hopper.width
        assert all(abs(face["age"]["years"] - 79) < 12 for face in photo["faces"])
        one = client.post("/v1/predict", params={"max_faces": 1}, files=files(("pair.jpg", stream.getvalue()))).json()
        assert one["photos"][0]["faces"] == photo["faces"][:1]


class TestCheckAge:
    def test_decides_as_the_checker_does(self, serve: Serve, examples: Path) -> None:
        client = serve(models=("mien-m",), detector="mtcnn")
        data = (examples / "hopper.jpg").read_bytes()
        record = client.post("/v1/check-age", params={"min_age": 21}, files=files(("a.jpg", data))).json()
        schemas.AgeChecksAnswer.model_validate(record)
        assert record["checks"][0]["outcome"] == "pass"
        analyzer = mien.load(threads=1)
        assert record["checks"][0] == mien.AgeChecker(analyzer, min_age=21)(data).to_dict() | {"source": "a.jpg"}
        known = client.get("/v1/models").json()["models"][0]["age_checks"]
        assert 18 in known["limits"]
        assert 0.01 in known["rates"]
        unknown = client.post("/v1/check-age", params={"min_age": 90}, files=files(("a.jpg", data)))
        assert "learned the limits" in problem(unknown, 422, "usage")["detail"]

    def test_a_model_without_age_checks_says_so(self, client: TestClient) -> None:
        answer = client.post("/v1/check-age", files=files(("a.png", picture())))
        assert "age checks" in problem(answer, 422, "usage")["detail"]
        assert client.get("/v1/models").json()["models"][0]["age_checks"] is None


class TestExplain:
    def test_tells_what_the_answer_rests_on(self, serve: Serve, examples: Path) -> None:
        client = serve(models=("mien-m",), detector="mtcnn")
        data = (examples / "hopper.jpg").read_bytes()
        for target in ("age", "gender"):
            wishes = {"target": target, "method": "cam", "overlay": True}
            record = client.post("/v1/explain", params=wishes, files=files(("a.jpg", data))).json()
            schemas.Explanations.model_validate(record)
            (face,) = record["faces"]
            why = face["explanation"]
            assert (face["number"], why["target"], why["method"]) == (1, target, "cam")
            assert sum(region["share"] for region in why["regions"]) == pytest.approx(1, abs=0.01)
            kind, _, encoded = why["overlay"].partition(",")
            assert kind == "data:image/png;base64"
            drawn = np.asarray(Image.open(BytesIO(base64.b64decode(encoded))))
            assert drawn.shape == (360, 360, 3)
            assert np.ptp(drawn.astype(int), axis=2).max() > 60  # somewhere there is colour
        assert (
            face["age"]
            == client.post("/v1/predict", files=files(("a.jpg", data))).json()["photos"][0]["faces"][0]["age"]
        )

    def test_by_occlusion_for_any_model(self, client: TestClient) -> None:
        record = client.post("/v1/explain", files=files(("a.png", picture()))).json()
        assert record["faces"][0]["explanation"]["method"] == "occlusion"
        assert "overlay" not in record["faces"][0]["explanation"]

    def test_a_method_that_the_model_does_not_allow(self, client: TestClient) -> None:
        answer = client.post("/v1/explain", params={"method": "cam"}, files=files(("a.png", picture())))
        assert "occlusion" in problem(answer, 422, "usage")["detail"]

    def test_which_face(self, client: TestClient) -> None:
        answer = client.post("/v1/explain", params={"face": 2}, files=files(("a.png", picture())))
        assert "number of faces found in a.png is 1" in problem(answer, 422, "usage")["detail"]

    def test_a_crowd_is_explained_face_by_face_and_not_all_of_it(
        self, client: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        state: State = client.app.state.mien  # type: ignore[attr-defined]
        detector = state.analyzer(None).detector
        monkeypatch.setattr(
            detector, "detect", lambda pixels, least=None: type(detector).detect(detector, pixels, least) * 9
        )
        photo = files(("a.png", picture()))
        told = client.post("/v1/explain", files=photo).json()["faces"]
        assert [face["number"] for face in told] == [1, 2, 3, 4]
        (ninth,) = client.post("/v1/explain", params={"face": 9}, files=photo).json()["faces"]
        assert ninth["number"] == 9

    def test_no_face_no_explanation(self, serve: Serve) -> None:
        answer = serve(detector="haar").post("/v1/explain", files=files(("a.png", picture())))
        assert answer.status_code == 200
        assert answer.json()["faces"] == []

    def test_one_photo_at_a_time(self, client: TestClient) -> None:
        answer = client.post("/v1/explain", files=files(("a.png", picture()), ("b.png", picture())))
        problem(answer, 422, "usage")

    def test_a_bad_photo(self, client: TestClient) -> None:
        problem(client.post("/v1/explain", files=files(("a.png", b"no"))), 415, "not_an_image")


class TestRefusals:
    @pytest.mark.parametrize(
        ("wishes", "word"),
        [
            ({"level": "1"}, "level"),
            ({"level": "nan"}, "level"),
            ({"abstain": "0.2"}, "abstain"),
            ({"max_faces": "0"}, "max_faces"),
            ({"pmf": "perhaps"}, "pmf"),
            ({"levl": "0.9"}, "levl"),
        ],
    )
    def test_wrong_wishes(self, client: TestClient, wishes: dict[str, str], word: str) -> None:
        answer = client.post("/v1/predict", params=wishes, files=files(("a.png", picture())))
        assert word in problem(answer, 422, "usage")["detail"]

    def test_an_unknown_model(self, client: TestClient) -> None:
        answer = client.post("/v1/predict", params={"model": "tin"}, files=files(("a.png", picture())))
        assert "did you mean 'tiny'" in problem(answer, 422, "usage")["detail"]

    def test_another_media_type(self, client: TestClient) -> None:
        problem(
            client.post("/v1/predict", content=picture(), headers={"content-type": "text/plain"}), 415, "media_type"
        )
        problem(client.post("/v1/predict"), 415, "media_type")

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (b"", "bad_request"),
            (b"{", "bad_request"),
            (b"\xff", "bad_request"),
            (b"[]", "usage"),
            (b"{}", "usage"),
            (b'{"photos": []}', "usage"),
            (b'{"photos": [{}]}', "usage"),
            (b'{"photos": [{"data": 1}]}', "usage"),
            (b'{"photos": [{"data": "a"}]}', "usage"),
            (b'{"photos": [{"data": "a a a a "}]}', "usage"),
            (b'{"photos": [{"data": "", "url": "http://example.org/a.jpg"}]}', "usage"),
            (b'{"photos": [{"data": ""}], "more": 1}', "usage"),
            (b"[" * 100_000, "bad_request"),
            (b'{"photos": [' + b"0," * 500_000 + b"0]}", "usage"),
            (b'{"photos": [' + b'{"data":""},' * 50_000 + b'{"data":""}]}', "usage"),
        ],
    )
    def test_wrong_json(self, client: TestClient, body: bytes, kind: str) -> None:
        answer = client.post("/v1/predict", content=body, headers={"content-type": "application/json"})
        problem(answer, 400 if kind == "bad_request" else 422, kind)

    @pytest.mark.parametrize(
        ("body", "status", "kind"),
        [
            (b"", 400, "bad_request"),
            (b"nonsense", 400, "bad_request"),
            (b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n", 400, "bad_request"),
            (b'--x\r\nContent-Disposition: form-data; name="photos"\r\n\r\na\r\n--x--\r\n', 415, "not_an_image"),
            (b'--x\r\nContent-Disposition: form-data; name="b"\r\n\r\na\r\n--x--\r\n', 422, "usage"),
            (b'--x\r\nContent-Disposition: form-data; name="b"; filename="a"\r\n\r\na\r\n--x--\r\n', 422, "usage"),
            (b'--x\r\nContent-Disposition: form-data; name="photos"; filename="a"\r\n\r\nhel', 400, "bad_request"),
        ],
    )
    def test_wrong_multipart(self, client: TestClient, body: bytes, status: int, kind: str) -> None:
        headers = {"content-type": "multipart/form-data; boundary=x"}
        problem(client.post("/v1/predict", content=body, headers=headers), status, kind)

    def test_multipart_without_a_boundary(self, client: TestClient) -> None:
        answer = client.post("/v1/predict", content=b"--x", headers={"content-type": "multipart/form-data"})
        problem(answer, 400, "bad_request")

    def test_all_photos_bad(self, client: TestClient) -> None:
        alike = problem(client.post("/v1/predict", files=files(("a", b"no"), ("b", b"no"))), 415, "not_an_image")
        assert [photo["source"] for photo in alike["photos"]] == ["a", "b"]
        mixed = problem(client.post("/v1/predict", files=files(("a", b"no"), ("b", b""))), 422, "photos")
        assert [photo["error"]["kind"] for photo in mixed["photos"]] == ["not_an_image", "empty"]

    def test_too_many_photos(self, serve: Serve) -> None:
        client = serve(max_photos=2)
        three = [("a.png", picture())] * 3
        problem(client.post("/v1/predict", files=files(*three)), 413, "too_large")
        problem(client.post("/v1/predict", files=files(*three, *three)), 413, "too_large")
        problem(client.post("/v1/predict", json=in_json(*three)), 413, "too_large")
        assert client.post("/v1/predict", files=files(*three[:2])).status_code == 200

    def test_too_many_bytes(self, serve: Serve) -> None:
        client = serve(max_body=MIB)
        told = client.post("/v1/predict", files=files(("a.png", bytes(MIB))))
        assert str(MIB) in problem(told, 413, "too_large")["detail"]

        def untold() -> Any:  # chunked: no content-length
            yield b'--x\r\nContent-Disposition: form-data; name="photos"; filename="a"\r\n\r\n'
            for _ in range(20):
                yield bytes(MIB // 10)

        headers = {"content-type": "multipart/form-data; boundary=x"}
        problem(client.post("/v1/predict", content=untold(), headers=headers), 413, "too_large")
        assert "mien_held_bytes 0.0" in client.get("/metrics").text

    def test_too_many_pixels(self, serve: Serve) -> None:
        client = serve(max_pixels=1000)
        problem(client.post("/v1/predict", files=files(("a.png", picture()))), 413, "too_large")

    def test_too_many_bytes_of_all_requests(self, serve: Serve) -> None:
        answer = serve(max_held=100).post("/v1/predict", files=files(("a.png", picture())))
        problem(answer, 503, "busy")
        assert int(answer.headers["retry-after"]) >= 1

    def test_too_much_at_once(self, serve: Serve) -> None:
        client = serve(max_concurrent=2, workers=1)
        go = threading.Event()
        state: State = client.app.state.mien  # type: ignore[attr-defined]
        held = state.engine.run(lambda: go.wait(30))
        statuses: list[int] = []

        def ask() -> None:
            statuses.append(client.post("/v1/predict", files=files(("a.png", picture()))).status_code)

        threads = [threading.Thread(target=ask) for _ in range(2)]
        try:
            for thread in threads:
                thread.start()
            while state.gate.inside < 2:
                threading.Event().wait(0.01)
            refused = client.post("/v1/predict", files=files(("a.png", picture())))
            problem(refused, 503, "busy")
            assert refused.headers["retry-after"] == "1"
            assert client.get("/v1/models").status_code == 200  # what costs nothing goes on
            assert client.get("/healthz").status_code == 200
        finally:
            go.set()
            for thread in threads:
                thread.join()
        assert held.result(30)
        assert statuses == [200, 200]
        assert client.post("/v1/predict", files=files(("a.png", picture()))).status_code == 200

    def test_too_much_time(self, serve: Serve) -> None:
        client = serve(work_seconds=0.2, workers=1)
        go = threading.Event()
        state: State = client.app.state.mien  # type: ignore[attr-defined]
        held = state.engine.run(lambda: go.wait(30))
        problem(client.post("/v1/predict", files=files(("a.png", picture()))), 504, "timeout")
        go.set()
        assert held.result(30)
        assert state.gate.inside == 0
        assert state.reader.held == 0

    def test_addresses_and_methods(self, client: TestClient) -> None:
        problem(client.get("/v1/nothing"), 404, "not_found")
        problem(client.get("/../../etc/passwd"), 404, "not_found")
        wrong = client.get("/v1/predict")
        problem(wrong, 405, "method_not_allowed")
        assert wrong.headers["allow"] == "POST"
        assert client.delete("/healthz").status_code == 405

    def test_a_fault_inside_is_told_without_its_inside(
        self, client: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        state: State = client.app.state.mien  # type: ignore[attr-defined]

        def broken(*_: object) -> None:
            raise ZeroDivisionError("secret")

        monkeypatch.setattr(state.analyzer(None), "estimate", broken)
        answer = client.post("/v1/predict", files=files(("a.png", picture())))
        assert "secret" not in json.dumps(problem(answer, 500, "internal"))

    def test_a_fault_of_the_model_is_no_fault_of_the_client(
        self, client: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        state: State = client.app.state.mien  # type: ignore[attr-defined]

        def broken(*_: object) -> None:
            raise ModelError("weights are damaged")

        monkeypatch.setattr(state.analyzer(None), "estimate", broken)
        problem(client.post("/v1/predict", files=files(("a.png", picture()))), 500, "internal")

    @pytest.mark.parametrize(
        ("sent", "told"),
        [
            ("../../etc/passwd.png", "passwd.png"),
            ("C:\\Users\\me\\a.png", "a.png"),
            ("/etc/shadow", "shadow"),
            ("..", "photo-1"),
            ("a\u202egnp.exe", "agnp.exe"),
            ("x" * 1000 + ".png", "x" * 251 + ".png"),
            ("Zoë 🙂.png", "Zoë 🙂.png"),
        ],
    )
    def test_names_are_names_only(self, client: TestClient, sent: str, told: str) -> None:
        answer = client.post("/v1/predict", files=files((sent, picture()))).json()
        assert answer["photos"][0]["source"] == told

    def test_unnamed_photos_are_numbered(self, client: TestClient) -> None:
        photos = client.post("/v1/predict", json=in_json((None, picture()), ("", picture()))).json()["photos"]
        assert [photo["source"] for photo in photos] == ["photo-1", "photo-2"]


class TestOperations:
    def test_health_and_readiness(self, client: TestClient) -> None:
        assert client.get("/healthz").json() == client.get("/readyz").json() == {"status": "ok"}

    def test_not_ready_before_the_models_are(self, tiny_bundle: Path) -> None:
        unstarted = TestClient(create_app(Settings(models=(str(tiny_bundle),), detector="whole")))
        assert unstarted.get("/healthz").status_code == 200
        problem(unstarted.get("/readyz"), 503, "busy")

    def test_models(self, client: TestClient) -> None:
        record = client.get("/v1/models").json()
        schemas.Models.model_validate(record)
        assert record["default"] == "tiny"
        assert record["limits"]["max_photos"] == 16
        assert record["key_needed"] is False

    def test_metrics(self, client: TestClient) -> None:
        client.post("/v1/predict", files=files(("a.png", picture()), ("b.png", b"no")))
        client.get("/nowhere")
        client.request("BREW", "/healthz")
        lines = client.get("/metrics").text.splitlines()
        assert 'mien_requests_total{method="POST",route="/v1/predict",status="200"} 1.0' in lines
        assert 'mien_requests_total{method="GET",route="other",status="404"} 1.0' in lines
        assert 'mien_requests_total{method="other",route="/healthz",status="405"} 1.0' in lines
        assert 'mien_request_seconds_count{route="/v1/predict"} 1.0' in lines
        assert "mien_photos_total 2.0" in lines
        assert "mien_faces_total 1.0" in lines
        assert 'mien_photo_errors_total{kind="not_an_image"} 1.0' in lines
        assert "mien_batch_faces_count 1.0" in lines
        assert "mien_requests_inside 0.0" in lines
        assert "mien_queue_photos 0.0" in lines

    def test_every_answer_forbids_sniffing_and_framing(self, client: TestClient) -> None:
        for path in ("/healthz", "/v1/nothing", "/openapi.json"):
            headers = client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert "no-" in headers["cache-control"]

    def test_no_page_where_none_is_wanted(self, serve: Serve) -> None:
        assert serve(page=False).get("/").status_code == 404
        assert serve().get("/").headers["content-type"].startswith("text/html")

    def test_the_description_refers_to_what_is_there(self, client: TestClient) -> None:
        record = client.get("/openapi.json").json()
        known = record["components"]["schemas"]
        text = json.dumps(record)
        for part in text.split('"#/components/schemas/')[1:]:
            assert part.partition('"')[0] in known
        assert "race" not in text.replace("trace", "")

    def test_two_models(self, serve: Serve, tiny_bundle: Path) -> None:
        client = serve(models=(str(tiny_bundle), "mien-m"))
        assert [model["name"] for model in client.get("/v1/models").json()["models"]] == ["tiny", "mien-m"]
        photo = files(("a.png", picture()))
        assert client.post("/v1/predict", files=photo).json()["model"] == "tiny"
        assert client.post("/v1/predict", files=photo, params={"model": "mien-m"}).json()["model"] == "mien-m"


class TestSettings:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"models": ()},
            {"max_body": 0},
            {"rate": -1},
            {"work_seconds": 0},
            {"api_keys": ("ü",)},
            {"api_keys": (" ",)},
        ],
    )
    def test_impossible_ones_are_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(UsageError):
            Settings(**wrong)

    def test_the_same_model_twice(self, tiny_bundle: Path) -> None:
        app = create_app(Settings(models=(str(tiny_bundle),) * 2, detector="whole"))
        with pytest.raises(UsageError, match="two of the models"), TestClient(app):
            pass
