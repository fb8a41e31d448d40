import { pieces, visible } from "../format/visible";

interface Props {
  text: string;
  /** Keep newlines and tabs, as bodies need it. */
  lines?: boolean;
}

/** Observed text as text nodes, what can't be seen in it replaced by its name. */
export function Text({ text, lines = false }: Props) {
  return pieces(text, lines).map((piece, i) =>
    piece.hidden ? (
      <span key={i} className="hidden-char">
        {piece.text}
      </span>
    ) : (
      piece.text
    ),
  );
}

/** One line that is cut where there is no room for it; the tooltip has all of it. */
export function Clipped({ text, className = "" }: { text: string; className?: string }) {
  const short = text.length > 500 ? text.slice(0, 500) + "…" : text;
  return (
    <span className={`clipped ${className}`} title={visible(text.slice(0, 4000))}>
      <Text text={short} />
    </span>
  );
}
