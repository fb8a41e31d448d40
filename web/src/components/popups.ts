/**
 * Where dialogs are put. In the body itself, Ant Design would keep the body from scrolling by a style sheet without our nonce, which the policy
 * refuses. The body never scrolls anyway.
 */
export const popups = (): HTMLElement => document.getElementById("popups") ?? document.body;
