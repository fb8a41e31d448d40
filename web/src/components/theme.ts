import { theme, type ThemeConfig } from "antd";
import { useCallback, useEffect, useSyncExternalStore } from "react";
import { usePreference } from "./preferences";

/** The colours of both modes. Text on surface has a contrast of 4.5:1 or more, marks in charts 3:1. */
const palettes = {
  light: {
    ground: "#f4f6f8",
    surface: "#ffffff",
    raised: "#eef2f5",
    text: "#16202a",
    muted: "#53616d",
    line: "#dce3e9",
    accent: "#0e7490",
    yes: "#16734a",
    partial: "#8f5600",
    no: "#5a6672",
    bad: "#b3261e",
    chartYes: "#23936a",
    chartPartial: "#c27c0e",
    chartNo: "#8793a0",
    chartLine: "#0e7490",
  },
  dark: {
    ground: "#0d1318",
    surface: "#151c23",
    raised: "#1d262e",
    text: "#e2e8ed",
    muted: "#9babb8",
    line: "#2a3540",
    accent: "#4cc3dd",
    yes: "#56cf98",
    partial: "#eab04d",
    no: "#a8b4bf",
    bad: "#ff8a80",
    chartYes: "#38b583",
    chartPartial: "#e0a03a",
    chartNo: "#66747f",
    chartLine: "#4cc3dd",
  },
};

export type Mode = keyof typeof palettes;
export type Palette = (typeof palettes)[Mode];

const darkMedia = matchMedia("(prefers-color-scheme: dark)");
const stillMedia = matchMedia("(prefers-reduced-motion: reduce)");

function useMedia(media: MediaQueryList): boolean {
  const subscribe = useCallback(
    (listener: () => void) => {
      media.addEventListener("change", listener);
      return () => media.removeEventListener("change", listener);
    },
    [media],
  );
  return useSyncExternalStore(subscribe, () => media.matches);
}

/** The mode that is shown, after the person's choice and the system's. */
export function useMode(): Mode {
  const [choice] = usePreference("theme");
  const systemIsDark = useMedia(darkMedia);
  return choice === "system" ? (systemIsDark ? "dark" : "light") : choice;
}

export function usePalette(): Palette {
  return palettes[useMode()];
}

/** Hands the palette to the style sheet as custom properties. */
export function usePaletteInCSS(): void {
  const mode = useMode();
  useEffect(() => {
    const root = document.documentElement;
    root.dataset.theme = mode;
    root.style.colorScheme = mode;
    for (const [name, colour] of Object.entries(palettes[mode])) root.style.setProperty(`--${name}`, colour);
  }, [mode]);
}

const fonts =
  'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif';

/** Ant Design in our colours, and without motion where the system asks for less. */
export function useAntTheme(mode: Mode): ThemeConfig {
  const still = useMedia(stillMedia);
  const p = palettes[mode];
  return {
    algorithm: mode === "dark" ? theme.darkAlgorithm : theme.defaultAlgorithm,
    token: {
      colorPrimary: "#0e7490",
      colorLink: p.accent,
      colorLinkHover: p.text,
      colorBgLayout: p.ground,
      colorBgContainer: p.surface,
      colorBgElevated: p.surface,
      colorText: p.text,
      colorTextSecondary: p.muted,
      colorTextTertiary: p.muted,
      colorTextDescription: p.muted,
      colorTextPlaceholder: p.muted,
      colorError: p.bad,
      colorErrorText: p.bad,
      colorBorderSecondary: p.line,
      borderRadius: 6,
      fontFamily: fonts,
      fontSize: 14,
      motion: !still,
    },
    components: {
      // White text keeps its contrast while the pointer is over it.
      Button: {
        colorPrimaryHover: "#155e75",
        colorPrimaryActive: "#164e63",
        defaultHoverColor: p.accent,
        defaultHoverBorderColor: p.accent,
        defaultActiveColor: p.accent,
        defaultActiveBorderColor: p.accent,
      },
      Tabs: { itemSelectedColor: p.accent, itemHoverColor: p.text, itemActiveColor: p.accent, inkBarColor: p.accent },
    },
  };
}
