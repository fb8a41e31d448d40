import { createRoot } from "react-dom/client";
import { App } from "./App";
import { preference } from "./components/preferences";
import { startI18n } from "./i18n";
import "./style.css";

startI18n(preference("language"));
const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
