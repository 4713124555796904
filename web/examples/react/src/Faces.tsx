import { load, type Analyzer, type Photo } from "@mien/browser";
import { useEffect, useState, type ChangeEvent } from "react";

/** A picture in, its faces out; the worker lives as long as the component. */
export function Faces() {
  const [analyzer, setAnalyzer] = useState<Analyzer | null>(null);
  const [photo, setPhoto] = useState<Photo | null>(null);
  const [told, setTold] = useState("Fetching the model …");

  useEffect(() => {
    let gone = false;
    const loading = load({ model: "mien-s", assets: `${import.meta.env.BASE_URL}mien/` });
    loading.then(
      (one) => {
        if (gone) return;
        setAnalyzer(one);
        setTold("");
      },
      (error: Error) => !gone && setTold(error.message),
    );
    return () => {
      gone = true;
      loading.then((one) => one.close()).catch(() => {});
    };
  }, []);

  async function look({ target }: ChangeEvent<HTMLInputElement>) {
    const file = target.files?.[0];
    if (!file || !analyzer) return;
    try {
      setPhoto(await analyzer.analyze(file));
      setTold("");
    } catch (error) {
      setPhoto(null);
      setTold((error as Error).message);
    }
  }

  return (
    <main>
      <label>
        A picture <input type="file" accept="image/*" disabled={!analyzer} onChange={look} />
      </label>
      <p role="status">{told}</p>
      <ul>
        {photo?.faces.map(({ age, gender }, index) => (
          <li key={index}>
            about {Math.round(age.years)}, {Math.round(age.low)} to {Math.round(age.high)}; {gender.label}
          </li>
        ))}
      </ul>
    </main>
  );
}
