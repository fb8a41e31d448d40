/** The nonce that the Content-Security-Policy of this page asks of style sheets made at run time. */
export const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? "";
