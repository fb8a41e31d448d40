import { Text } from "../../../components/Text";
import { splitHeader } from "../../../format/header";

/** Header fields in their order; nothing where there are none. */
export function Headers({ title, headers }: { title: string; headers: string[] }) {
  if (headers.length === 0) return null;
  return (
    <table className="headers" aria-label={title}>
      <tbody>
        {headers.map((header, i) => {
          const [name, value] = splitHeader(header);
          return (
            <tr key={i}>
              <th scope="row">
                <Text text={name} />
              </th>
              <td className="break">
                <Text text={value} />
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
