/** The mark and the name. */
export function Brand({ large = false }: { large?: boolean }) {
  const size = large ? 40 : 24;
  return (
    <span className={large ? "brand brand-large" : "brand"}>
      <svg
        width={size}
        height={size}
        viewBox="0 0 32 32"
        aria-hidden
        fill="none"
        stroke="currentColor"
        strokeWidth="2.6"
        strokeLinejoin="round"
      >
        <path d="M16 2.6 28.4 9.3v13.4L16 29.4 3.6 22.7V9.3z" />
        <path strokeLinecap="round" d="m9.6 11.4 6.4 11 6.4-11" />
      </svg>
      Vitrine
    </span>
  );
}
