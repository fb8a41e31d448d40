import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import en from "./en.json";
import zh from "./zh.json";

export type Language = "en" | "zh";

/** Starts the translations; the language can be changed later. */
export function startI18n(language: Language): void {
  void i18next.use(initReactI18next).init({
    resources: { en: { translation: en }, zh: { translation: zh } },
    lng: language,
    fallbackLng: "en",
    // React shows text nodes only, so there is nothing to escape.
    interpolation: { escapeValue: false },
  });
}

/** The language that the browser asks for. */
export function browserLanguage(): Language {
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}
