import { DownloadOutlined } from "@ant-design/icons";
import { Alert, Button } from "antd";
import { useMutation } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { APIError } from "../../../api/client";
import { downloadPackets, type Form } from "../../../api/packets";
import { useMay } from "../../../components/permissions";
import { useErrorText } from "../../../components/errors";

interface Props {
  conn: string;
  encrypted: boolean;
}

/** The packets of the connection, before decryption and after, for Wireshark and its like. */
export function PacketDownloads({ conn, encrypted }: Props) {
  const { t } = useTranslation();
  const text = useErrorText();
  const download = useMutation({
    mutationFn: ({ form, keys }: { form: Form; keys: boolean }) => downloadPackets(conn, form, keys),
  });
  const may = useMay();
  const choices: { key: string; form: Form; keys: boolean }[] = [
    { key: "before", form: "before", keys: false },
    ...(encrypted && may("keys") ? [{ key: "keys", form: "before" as const, keys: true }] : []),
    ...(may("content") ? [{ key: "after", form: "after" as const, keys: false }] : []),
  ];
  const missing = download.error instanceof APIError && download.error.status === 404;
  return (
    <>
      {download.error && (
        <Alert
          type={missing ? "info" : "error"}
          showIcon
          role="alert"
          title={missing ? t("packets.missing") : text(download.error)}
        />
      )}
      <ul className="downloads">
        {choices.map(({ key, form, keys }) => (
          <li key={key}>
            <Button
              icon={<DownloadOutlined aria-hidden />}
              loading={download.isPending && download.variables.form === form && download.variables.keys === keys}
              onClick={() => download.mutate({ form, keys })}
            >
              {t(`packets.${key}`)}
            </Button>
            <p className="muted">{t(`packets.${key}_note`)}</p>
          </li>
        ))}
      </ul>
    </>
  );
}
