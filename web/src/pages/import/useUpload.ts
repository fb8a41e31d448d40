import { useEffect, useRef, useState } from "react";
import { upload, type Upload } from "../../api/upload";

/** One upload at a time, with its progress from 0 to 1 while it runs. Leaving the page ends it. */
export function useUpload(done: () => void) {
  const [progress, setProgress] = useState<number>();
  const [error, setError] = useState<unknown>();
  const running = useRef<AbortController>(null);
  useEffect(() => () => running.current?.abort(), []);
  const start = (files: Upload) => {
    const control = new AbortController();
    running.current = control;
    setError(undefined);
    setProgress(0);
    upload(files, setProgress, control.signal)
      .then(done)
      .catch((cause: unknown) => {
        if (!control.signal.aborted) setError(cause);
      })
      .finally(() => setProgress(undefined));
  };
  return { progress, error, start, cancel: () => running.current?.abort() };
}
