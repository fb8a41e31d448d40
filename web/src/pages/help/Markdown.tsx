import type { Token, Tokens } from "marked";
import { Fragment, type ReactNode } from "react";
import { Link } from "react-router";
import { pages } from "./docs";
import { codeOf, parse, plain, slug, targetOf } from "./markdown";

/** A Markdown text as elements of React: whatever is in it, it is text. */
export function Markdown({ text, page }: { text: string; page: string }) {
  return <Pieces tokens={parse(text)} page={page} />;
}

interface Props {
  tokens: Token[] | undefined;
  page: string;
}

function Pieces({ tokens, page }: Props) {
  return tokens?.map((token, i) => <Fragment key={i}>{piece(token, page)}</Fragment>);
}

function piece(token: Token, page: string): ReactNode {
  const inner = "tokens" in token ? <Pieces tokens={token.tokens} page={page} /> : null;
  switch (token.type) {
    case "heading":
      return <Heading token={token as Tokens.Heading}>{inner}</Heading>;
    case "paragraph":
      return <p>{inner}</p>;
    case "strong":
      return <strong>{inner}</strong>;
    case "em":
      return <em>{inner}</em>;
    case "del":
      return <del>{inner}</del>;
    case "codespan":
      return <code>{(token as Tokens.Codespan).text}</code>;
    case "code":
      return (
        <pre tabIndex={0}>
          <code>{(token as Tokens.Code).text}</code>
        </pre>
      );
    case "blockquote":
      return <blockquote>{inner}</blockquote>;
    case "link":
      return (
        <DocumentLink href={(token as Tokens.Link).href} page={page}>
          {inner}
        </DocumentLink>
      );
    case "list":
      return <List list={token as Tokens.List} page={page} />;
    case "table":
      return <Table table={token as Tokens.Table} page={page} />;
    case "hr":
      return <hr />;
    case "br":
      return <br />;
    case "space":
    case "def":
      return null;
    default:
      // Text, and what is no Markdown that is known here: HTML, images.
      return inner ?? ("text" in token ? String(token.text) : null);
  }
}

function Heading({ token, children }: { token: Tokens.Heading; children: ReactNode }) {
  const id = slug(plain(token.tokens));
  if (token.depth === 1) return <h1 id={id}>{children}</h1>;
  if (token.depth === 2) return <h2 id={id}>{children}</h2>;
  return <h3 id={id}>{children}</h3>;
}

function DocumentLink({ href, page, children }: { href: string; page: string; children: ReactNode }) {
  const target = targetOf(href, page, pages);
  if (!target) return children;
  if ("outside" in target) {
    return (
      <a href={target.outside} target="_blank" rel="noopener noreferrer">
        {children}
      </a>
    );
  }
  return <Link to={{ pathname: `/help/${target.page}`, hash: target.hash }}>{children}</Link>;
}

function List({ list, page }: { list: Tokens.List; page: string }) {
  const items = list.items.map((item, i) => (
    <li key={i}>
      <Pieces tokens={item.tokens} page={page} />
    </li>
  ));
  return list.ordered ? <ol start={Number(list.start)}>{items}</ol> : <ul>{items}</ul>;
}

function Table({ table, page }: { table: Tokens.Table; page: string }) {
  return (
    <div
      className="doc-table"
      tabIndex={0}
      role="region"
      aria-label={table.header.map((h) => plain(h.tokens)).join(", ")}
    >
      <table>
        <thead>
          <tr>
            {table.header.map((cell, i) => (
              <th key={i} scope="col">
                <Pieces tokens={cell.tokens} page={page} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, i) => (
            <tr key={i} id={codeOf(row)}>
              {row.map((cell, j) => (
                <td key={j}>
                  <Pieces tokens={cell.tokens} page={page} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
