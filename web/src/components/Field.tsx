import { useId, type ReactNode } from "react";

interface Labels {
  id: string;
  "aria-describedby"?: string;
}

interface Props {
  name: string;
  /** What can be written here, where the name does not say it. */
  hint?: string;
  mistake: string | undefined;
  /** Draws the input, which takes the labels. */
  children: (labels: Labels) => ReactNode;
}

/** An input with its name above and its mistake below. */
export function Field({ name, hint, mistake, children }: Props) {
  const id = useId();
  const why = `${id}-why`;
  const what = `${id}-what`;
  const described = [...(hint ? [what] : []), ...(mistake ? [why] : [])].join(" ");
  return (
    <div className="field">
      <label htmlFor={id}>{name}</label>
      {children({ id, ...(described && { "aria-describedby": described }) })}
      {hint && (
        <p id={what} className="muted small">
          {hint}
        </p>
      )}
      {mistake && (
        <p id={why} className="field-mistake" role="alert">
          {mistake}
        </p>
      )}
    </div>
  );
}
